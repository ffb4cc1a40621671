import type { Command } from 'commander';
import type { App } from '../app.js';
import type { InitFlags } from '../run-init.js';

/** `init`: make a database ready. */
export function registerInit(program: Command, app: App): void {
  const command = program
    .command('init')
    .description('create the audit tables; in the embedded database the source tables too')
    .option('--demo', 'load the demo conversations, into the embedded database')
    .option('--with-source', 'also create conversations and conversation_turns where they are missing')
    .option(
      '--hardened',
      'also protect the log: no row is deleted or rewritten, and no user with exports deleted; stays on',
    )
    .option('--dry-run', 'print the SQL and run nothing')
    .option('--verify', 'compare what exists with what should, as a table; status 22 on a difference')
    .option('--down', 'drop the audit tables')
    .option(
      '--force',
      'with --down: although they hold rows; with --demo: although the database is not the embedded one',
    )
    .option('--json', 'print the result as JSON')
    .optionsGroup('Database:');
  app.addConnectionFlags(command).action(async (flags: InitFlags) => {
    const { runInit } = await import('../run-init.js');
    await runInit(app, flags);
  });
}
