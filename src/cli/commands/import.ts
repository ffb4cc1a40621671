import type { Command } from 'commander';
import type { App } from '../app.js';
import { once, text } from '../flags.js';
import type { ImportFlags } from '../run-import.js';

/** `import`: conversations from files into a database. */
export function registerImport(program: Command, app: App): void {
  const command = program
    .command('import')
    .description('load conversations from JSONL files (gzip too) into a database; again changes nothing')
    .argument('<file...>', 'files, one conversation per line; - for standard input')
    .option(
      '--status <status>',
      'status of conversations that have none; default: pending_review',
      once(text),
    )
    .option('--json', 'the summary, or the error, as one JSON object per file')
    .optionsGroup('Database:');
  app.addConnectionFlags(command).action(async (files: string[], flags: ImportFlags) => {
    const { runImport } = await import('../run-import.js');
    await runImport(app, files, flags);
  });
}
