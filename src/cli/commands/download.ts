import type { Command } from 'commander';
import type { App } from '../app.js';
import { once, text, uuid } from '../flags.js';
import type { DownloadFlags } from '../run-download.js';

/** `download`: the stored file of an export. */
export function registerDownload(program: Command, app: App): void {
  const command = program
    .command('download')
    .description(
      'copy the stored file of a completed export, its size and checksum verified; status 27 when it has none any more',
    )
    .argument('<id>', 'export id', uuid)
    .option(
      '-o, --output <path>',
      'file, directory/ or - for standard output; default: standard output, or the name of the file when that is a terminal',
      once(text),
    )
    .option('--force', 'replace an existing file')
    .option('--json', 'the summary, or the error, as one JSON object')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (id: string, flags: DownloadFlags) => {
    const { runDownload } = await import('../run-download.js');
    await runDownload(app, id, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export download 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4 --output training/
  lora-export download 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4 | gzip > training.jsonl.gz`,
  );
}
