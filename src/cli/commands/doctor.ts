import type { Command } from 'commander';
import type { App } from '../app.js';
import type { DoctorFlags } from '../run-doctor.js';

/** `doctor`: what is wrong, and what mends it. */
export function registerDoctor(program: Command, app: App): void {
  const command = program
    .command('doctor')
    .description('check database, rights, tables, indexes and export directory; say what mends them')
    .option('--json', 'the report as one JSON object')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (flags: DoctorFlags) => {
    const { runDoctor } = await import('../run-doctor.js');
    await runDoctor(app, flags);
  });
  command.addHelpText(
    'after',
    `
Nothing is changed. The status is 0 when nothing failed, warnings or not; otherwise that of the first failure: 2 settings,
20 connection, 21 login, certificate, grant or policies, 22 tables, 24 export directory, 28 audit log.

Examples:
  lora-export doctor
  lora-export doctor --user 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4
  lora-export doctor --json | jq -r '.checks[] | select(.status != "ok") | .name, .fix, .sql[]'`,
  );
}
