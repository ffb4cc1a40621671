import type { Command } from 'commander';
import { formatNames } from '../../formats/index.js';
import { nearestWord } from '../../nearest-word.js';
import { SCOPES } from '../../scopes.js';
import type { App } from '../app.js';
import { choice, list, moment, once, since, text, uuid, wholeNumber } from '../flags.js';
import { InvalidArgumentError } from '../parser.js';
import type { HistoryFlags } from '../run-history.js';

/** The words of `STATUSES` and `HISTORY_SORTS`, repeated here so that help needs no database driver; a test compares them. */
const STATUSES = ['queued', 'processing', 'completed', 'failed', 'expired'];
const SORTS = ['timestamp', 'format', 'status', 'count', 'size', 'user'];

/** `history`: what was exported, by whom, and how it ended. */
export function registerHistory(program: Command, app: App): void {
  const command = program
    .command('history')
    .description('list past exports, newest first; with an id, show one of them whole')
    .argument('[id]', 'export to show: what was asked, what came out, how to repeat it', uuid)
    .option('--json', 'the page, the export, or the error, as one JSON object')
    .optionsGroup('Which exports:')
    .option(
      '-f, --format <list>',
      `format is one of ${formatNames.join(', ')}`,
      oneOf([...formatNames, 'md']),
    )
    .option('--status <list>', `status is one of ${STATUSES.join(', ')}`, oneOf(STATUSES))
    .option('-s, --scope <list>', `scope is one of ${SCOPES.join(', ')}`, oneOf(SCOPES))
    .option('--from <date>', 'asked for on or after: 2025-10-29 (UTC), or a time with its zone', once(moment))
    .option('--to <date>', 'asked for on or before; a date means that whole day', once(moment))
    .optionsGroup('In which order, which page:')
    .addOption(choice('--sort <key>', 'order of the list; default: timestamp', SORTS))
    .addOption(choice('--order <direction>', 'asc or desc (default)', ['asc', 'desc']))
    .option('--page <number>', 'page, from 1 (default)', once(wholeNumber(1, 10_000_000)))
    .option('--limit <count>', 'exports per page, at most 100; default: 25', once(wholeNumber(1, 100)))
    .optionsGroup('For the files of an audit:')
    .option('--csv', 'every export that matches, all columns, as CSV')
    .option('-o, --output <file>', 'write the CSV there; default: standard output', once(text))
    .option('--force', 'replace an existing file')
    .optionsGroup('Statistics:')
    .option('--stats', 'success rate, durations, sizes and shares instead of the list')
    .option('--since <when>', 'from so long ago (24h, 7d), or from a date or time', once(since))
    .addOption(choice('--by <period>', 'exports per hour or per day', ['hour', 'day']))
    .option('--prometheus', 'the statistics in the text format of Prometheus')
    .option('--check', 'compare with the thresholds for alerts; status 1 when one is crossed')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (id: string | undefined, flags: HistoryFlags) => {
    const { runHistory } = await import('../run-history.js');
    await runHistory(app, id, flags);
  });
  command.addHelpText(
    'after',
    `
With --all-users, a typed --user lists the exports of that user only.

Examples:
  lora-export history --status failed --from 2025-10-01
  lora-export history 6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4
  lora-export history --sort size --limit 10 --json
  lora-export history --csv --from 2025-01-01 --to 2025-12-31 --output exports-2025.csv
  lora-export history --stats --since 7d --by hour`,
  );
}

/** Values of a list, each one of the words. */
function oneOf(words: readonly string[]): (value: string, previous: unknown) => string[] {
  return (value, previous) => {
    const values = list(value, previous);
    const unknown = values.find((item) => !words.includes(item));
    if (unknown === undefined) return values;
    const { word, distance } = nearestWord(unknown, words);
    const suggestion = distance <= 3 ? ` Did you mean ${word}?` : '';
    throw new InvalidArgumentError(`Allowed are ${words.join(', ')}.${suggestion}`);
  };
}
