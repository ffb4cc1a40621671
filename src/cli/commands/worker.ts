import type { Command } from 'commander';
import type { App } from '../app.js';
import { choice, decimal, once, text, uuid } from '../flags.js';
import { Option } from '../parser.js';
import type { WorkerFlags } from '../run-worker.js';

/** `worker`: does exports that were queued with `export --detach`. */
export function registerWorker(program: Command, app: App): void {
  const command = program
    .command('worker')
    .description('do queued exports, one after the other; run as many as you like, on any machine')
    .option('--drain', 'end when the queue is empty; default: wait for more')
    .option('--job <id>', 'do this one export and end', once(uuid))
    .option(
      '--poll <seconds>',
      'pause between two looks at an empty queue; default: 2',
      once(decimal(0.1, 3600)),
    )
    .option('--timeout <seconds>', 'longest time for one export; default: any', once(decimal(0.1, 864_000)))
    .option(
      '--stall-timeout <seconds>',
      'longest silence of the database before giving up; default: 60',
      once(decimal(0.1, 86_400)),
    )
    .addOption(
      new Option('--log <file>', 'to be removed when the job went well').argParser(once(text)).hideHelp(),
    )
    .option('--metrics-file <file>', 'append one JSON object per finished export', once(text))
    .addOption(
      choice('--log-format <name>', 'json: that object on standard error, instead of the summary', [
        'text',
        'json',
      ]),
    )
    .option('--json', 'each finished export as one JSON object on a line')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (flags: WorkerFlags) => {
    const { runWorkerCommand } = await import('../run-worker.js');
    await runWorkerCommand(app, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export worker
  lora-export worker --drain --all-users`,
  );
}
