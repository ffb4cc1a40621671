import type { Command } from 'commander';
import type { App } from '../app.js';
import { decimal, once, uuid } from '../flags.js';
import type { StatusFlags } from '../run-status.js';

/** `status`: how an export stands. */
export function registerStatus(program: Command, app: App): void {
  const command = program
    .command('status')
    .description('show how an export stands, also one that runs elsewhere; status 0 whatever became of it')
    .argument('[id]', 'export id; default: your latest export', uuid)
    .option('-w, --watch', 'follow it until it has ended')
    .option(
      '--interval <seconds>',
      'with --watch: pause between two looks; default: 1',
      once(decimal(0.1, 3600)),
    )
    .option('--exit-status', 'status 1 when the export has failed')
    .option('--json', 'one JSON object; with --watch one per change, each on a line of its own')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (id: string | undefined, flags: StatusFlags) => {
    const { runStatus } = await import('../run-status.js');
    await runStatus(app, id ?? null, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export status
  lora-export status 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4 --json
  lora-export status --watch --exit-status && lora-export download "$ID"`,
  );
}
