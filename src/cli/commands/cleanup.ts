import type { Command } from 'commander';
import type { App } from '../app.js';
import { once, text, wholeNumber } from '../flags.js';
import type { CleanupFlags } from '../cleanup-plan.js';

/** `cleanup`: expired files and, if asked, old rows of the audit log. */
export function registerCleanup(program: Command, app: App): void {
  const command = program
    .command('cleanup')
    .description(
      'remove the files of expired exports; with --logs, archive and delete old rows of the audit log',
    )
    .option('--files', 'expired files; the default without --logs')
    .option('--logs', 'old rows of the audit log that own no file, archived first')
    .option('--dry-run', 'show what would be removed, and change nothing')
    .option('--json', 'the summary, or the error, as one JSON object for files and one for logs')
    .optionsGroup('Files:')
    .option(
      '--delete-orphans',
      'also what no export of this database stored in the export directory; other databases must not share it',
    )
    .optionsGroup('Audit log:')
    .option('--older-than <days>', 'age of the rows; default: 30', once(wholeNumber(0, 36_500)))
    .option(
      '--archive-dir <directory>',
      'where the archive goes; default: archive in the state directory',
      once(text),
    )
    .option('--force', 'also rows of fewer than 30 days')
    .optionsGroup('Again and again:')
    .option(
      '--schedule <cron>',
      'stay in the foreground and clean up at these times; of several processes on one database, one does',
      once(text),
    )
    .option('--timezone <name>', 'zone of the schedule; default: UTC', once(text))
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (flags: CleanupFlags) => {
    const { runCleanup } = await import('../run-cleanup.js');
    await runCleanup(app, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export cleanup --dry-run
  lora-export cleanup --all-users
  lora-export cleanup --logs --older-than 90 --archive-dir /var/backups/lora-export
  lora-export cleanup --schedule "0 2 * * *" --timezone Europe/Berlin`,
  );
}
