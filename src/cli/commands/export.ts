import type { Command } from 'commander';
import { formatNames } from '../../formats/index.js';
import { SCOPES, SORT_KEYS } from '../../scopes.js';
import { targetNames } from '../../targets/index.js';
import type { App } from '../app.js';
import {
  choice,
  countOrShare,
  decimal,
  list,
  moment,
  once,
  pairs,
  parameterPath,
  presetName,
  refuseContradictions,
  text,
  uuid,
  wholeNumber,
} from '../flags.js';
import type { ExportFlags } from '../export-request.js';

/** `export`: from request to file. */
export function registerExport(program: Command, app: App): void {
  const command = program
    .command('export')
    .description('export conversations to a file, a directory or standard output')
    .addOption(
      choice('-f, --format <name>', 'format of the file; default: jsonl; md is markdown', [
        ...formatNames,
        'md',
      ]),
    )
    .addOption(
      choice(
        '-s, --scope <name>',
        'selected (by id), filtered, approved (default), or all that you can see',
        SCOPES,
      ),
    )
    .option(
      '-o, --output <path>',
      'file, directory/ or - for standard output; default: standard output, or the managed directory when that is a terminal',
      once(text),
    )
    .addOption(
      choice(
        '-t, --target <name>',
        'service or trainer that reads the file: its rows, its rules',
        targetNames,
      ),
    )
    .option('--shape <name>', "which of the target's row shapes; default: its first", once(text))
    .option(
      '--preset <name>',
      'what to export as saved under this name; flags that are typed win',
      once(presetName),
    )
    .option(
      '--save-preset <name>',
      'save what this command exports under this name, then export it; with --force replaces another of that name',
      once(presetName),
    )
    .optionsGroup('Which conversations:')
    .option(
      '--ids <list>',
      'ids for scope selected: conversations.id or conversation_id, separated by commas',
      list,
    )
    .option('--ids-file <file>', 'the same from a file, one per line; - for standard input', once(text))
    .option('--ignore-missing', 'export the others when some ids match nothing')
    .option('--tier <list>', 'tier is one of these', list)
    .option('--status <list>', 'status is one of these', list)
    .option('--exclude-status <list>', 'leave these statuses out, whatever the scope', list)
    .option('--min-quality <score>', 'quality score at least (0 to 10)', once(decimal(0, 10)))
    .option('--max-quality <score>', 'quality score at most (0 to 10)', once(decimal(0, 10)))
    .option('--from <date>', 'created on or after: 2025-10-29 (UTC), or a time with its zone', once(moment))
    .option('--to <date>', 'created on or before; a date means that whole day', once(moment))
    .option('--category <list>', 'has one of these categories', list)
    .option('--persona <list>', 'persona is one of these', list)
    .option('--emotion <list>', 'emotion is one of these', list)
    .option('--topic <list>', 'topic is one of these', list)
    .option('--search <text>', 'title, persona, emotion or topic contains this, in any case', once(text))
    .option('--parent-id <id>', 'parent_id is this', once(text))
    .option('--created-by <id>', 'owner is this', once(text))
    .option('--filter-file <file>', 'filters as JSON, as the application stores them; flags win', once(text))
    .addOption(choice('--sort <key>', 'order of the file; default: created_at', SORT_KEYS))
    .addOption(choice('--order <direction>', 'asc (default) or desc', ['asc', 'desc']))
    .option('--limit <count>', 'at most so many conversations', once(wholeNumber(1, 2_147_483_647)))
    .optionsGroup('What the file shows:')
    .option('--metadata', 'metadata beside the messages (default)')
    .option('--no-metadata', 'messages only')
    .option('--quality-scores', 'quality scores (default)')
    .option('--no-quality-scores', 'no quality scores')
    .option('--timestamps', 'created and updated (default)')
    .option('--no-timestamps', 'no timestamps')
    .option('--approval-history', 'the review history')
    .option('--no-approval-history', 'no review history (default)')
    .option('--parent-references', 'parent id and type')
    .option('--no-parent-references', 'no parents (default)')
    .option('--full-content', 'the turns (default)')
    .option('--no-full-content', 'no turns')
    .option('--compact', 'JSON on one line')
    .option('--no-bom', 'CSV, or a file for azure, without byte order mark')
    .option('--csv-raw', 'CSV cells as they are, without the guard against formulas')
    .option('--system-prompt <text>', 'system prompt of conversations that store none', once(text))
    .option('--system-prompt-file <file>', 'the same from a file', once(text))
    .option(
      '--system-prompt-from <path>',
      'the same from the conversation: parameters.KEY',
      once(parameterPath),
    )
    .addOption(choice('--expand <what>', 'pairs: one row per assistant turn, with its history', ['pairs']))
    .option('--verify', 'check the bytes written, as validate does (default with --target)')
    .option('--no-verify', 'do not')
    .option('--tokens', 'count tokens, per conversation and role')
    .optionsGroup('Imperfect conversations:')
    .option(
      '--on <rule=action>',
      'what to do about a rule (ignore, keep, repair, skip, fail), such as equal-neighbours=skip',
      pairs,
    )
    .option(
      '--role-map <list>',
      'role words of the database and what they mean: human=user,gpt=assistant',
      pairs,
    )
    .option('--strict', 'fail when any conversation is skipped, repaired or looks wrong')
    .option(
      '--max-skipped <count>',
      'fail when more are skipped: a number, or a share such as 5%',
      once(countOrShare),
    )
    .optionsGroup('How:')
    .option('--detach', 'print the id of the export and let it go on in the background')
    .option('--cancel <id>', 'stop an export, whoever runs it; nothing is published', once(uuid))
    .option('--like <id>', 'what an earlier export asked for, on the data of today', once(uuid))
    .option(
      '--job-from <count>',
      'exports of so many conversations are queued first, for status to see; default: 500',
      once(wholeNumber(1, 2_147_483_647)),
    )
    .option('--gzip', 'compress; also when the name ends in .gz')
    .option('--force', 'replace an existing file')
    .option('--allow-empty', 'write a valid empty file when nothing matches, instead of failing')
    .option('--require-all', 'fail when row level security may hide conversations from this user')
    .option('--report <file>', 'list every skipped or doubtful conversation, as JSON lines', once(text))
    .option(
      '--preview [count]',
      'show the first conversations (3) as the file would; write nothing and log nothing',
      once(wholeNumber(1, 1000)),
    )
    .option('--dry-run', 'count, show the statement and the file name; write nothing and log nothing')
    .option(
      '--batch-size <count>',
      'conversations per round trip at most; default: 100',
      once(wholeNumber(1, 10_000)),
    )
    .option(
      '--jobs <count>',
      'database connections that read at a time, all in one snapshot; default: by cores and size; 1 behind a transaction pooler',
      once(wholeNumber(1, 16)),
    )
    .option(
      '--retention-hours <hours>',
      'when a managed file expires; default: 24',
      once(decimal(0.001, 87_840)),
    )
    .option(
      '--timeout <seconds>',
      'longest time for the whole export; default: any',
      once(decimal(0.1, 864_000)),
    )
    .option(
      '--stall-timeout <seconds>',
      'longest silence of the database before giving up; default: 60',
      once(decimal(0.1, 86_400)),
    )
    .option('--metrics-file <file>', 'append one JSON object per finished export', once(text))
    .addOption(
      choice('--log-format <name>', 'json: that object on standard error, instead of the summary', [
        'text',
        'json',
      ]),
    )
    .option('--json', 'the summary, or the error, as one JSON object')
    .optionsGroup('Database:');
  app.addAccessFlags(command).action(async (flags: ExportFlags) => {
    refuseContradictions(app.argv);
    const { runExport } = await import('../run-export.js');
    await runExport(app, flags);
  });
  command.addHelpText(
    'after',
    `
Examples:
  lora-export export --format jsonl --scope approved
  lora-export export --tier template --min-quality 8 --output training/
  lora-export export --ids fp_marcus_002,fp_marcus_003 --output two.jsonl
  lora-export export --no-metadata --output - | gzip > upload.jsonl.gz`,
  );
}
