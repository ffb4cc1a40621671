import { AN_ID, ANOTHER_ID, flagValues, line, type BadInput } from './case.js';
import { NO_MOMENTS, NO_SCORES, NO_UUIDS, NO_WHOLE_NUMBERS, SLIPS } from './values.js';

const whole = 'whole number from';
const decimal = 'number from';
const date = 'date such as 2025-10-29';
const uuid = 'UUID such as';

/** Words that no command knows, or that it cannot go without. */
const unknown: BadInput[] = [
  line(['exprot'], 'a slip in the command', 'exprot', 'export'),
  line(['EXPORT'], 'commands are lower case', 'EXPORT'),
  line([''], 'an empty command, as of an unset variable', 'unknown command'),
  line(['__proto__'], 'a member of every object', '__proto__'),
  line(['constructor'], 'a member of every object', 'constructor'),
  line(['--verbose', 'export'], 'a flag before the command', '--verbose'),
  line(['export', '--formt', 'jsonl'], 'a slip in the flag', '--formt', '--format'),
  line(['export', '--Limit', '1'], 'flags are lower case', '--Limit', '--limit'),
  line(['export', '-x'], 'no such letter', '-x'),
  line(['export', '—limit', '1'], 'a dash that a word processor made', 'export', 'arguments'),
  line(['export', 'conversations.jsonl'], 'a file without its flag', 'export', 'arguments'),
  line(['export', '--', '--limit'], 'a flag behind the end of the flags', 'export', 'arguments'),
  line(['export', '--json=yes'], 'a value where none belongs', '--json'),
  line(['export', '--no-limit'], 'the opposite of what has none', '--no-limit'),
  line(['export', '--__proto__', 'x'], 'a member of every object', '--__proto__'),
  line(['help', 'exprot'], 'a slip in the topic', 'exprot'),
  line(['config', 'show'], 'a word too many', 'config', 'arguments'),
  line(['doctor', 'please'], 'a word too many', 'doctor', 'arguments'),
  line(['worker', AN_ID], 'an id without its flag', 'worker', 'arguments'),
  line(['cleanup', '--all'], 'no such flag', '--all'),
  line(['cleanup', '/var/exports'], 'the directory is a setting', 'cleanup', 'arguments'),
  line(['init', 'now'], 'a word too many', 'init', 'arguments'),
  line(['status', AN_ID, ANOTHER_ID], 'one at a time', 'status', 'arguments'),
  line(['history', AN_ID, ANOTHER_ID], 'one at a time', 'history', 'arguments'),
  line(['download', AN_ID, 'copy.jsonl'], 'a file without its flag', 'download', 'arguments'),
  line(['import'], 'nothing to import', 'file'),
  line(['validate'], 'nothing to check', 'file'),
  line(['download'], 'which export?', 'id'),
  line(['completion'], 'for which shell?', 'shell'),
  line(['completion', 'tcsh'], 'no script for it', 'tcsh', 'bash'),
  line(['completion', '/bin/bash'], 'a path, as in $SHELL', '/bin/bash', 'bash'),
];

const missing: BadInput[] = [
  ...['--format', '--scope', '--output', '--ids', '--limit', '--from', '--user', '--schema', '--config'].map(
    (flag) => line(['export', flag], 'a flag without its value', flag, 'argument missing'),
  ),
  ...['--job', '--poll', '--timeout'].map((flag) =>
    line(['worker', flag], 'a flag without its value', flag, 'argument missing'),
  ),
  ...['--output', '--search', '--schema', '--audit-schema', '--parent-id', '--created-by'].map((flag) =>
    line(['export', flag, ''], 'empty, as of an unset variable', flag, 'must not be empty'),
  ),
  ...['--report', '--ids-file', '--filter-file', '--system-prompt', '--metrics-file', '--shape'].map((flag) =>
    line(['export', flag, ''], 'empty, as of an unset variable', flag, 'must not be empty'),
  ),
  ...['--config', '--dotenv', '--database-url', '--schema'].map((flag) =>
    line(['history', flag, ''], 'empty, as of an unset variable', flag, 'must not be empty'),
  ),
  ...['--archive-dir', '--schedule', '--timezone'].map((flag) =>
    line(['cleanup', flag, ''], 'empty, as of an unset variable', flag, 'must not be empty'),
  ),
  line(
    ['download', AN_ID, '--output', ''],
    'empty, as of an unset variable',
    '--output',
    'must not be empty',
  ),
  line(['import', '', '--status', 'approved'], 'empty, as of an unset variable', 'existing file'),
  line(['validate', ''], 'empty, as of an unset variable', 'existing file'),
  line(['import', 'a.jsonl', '--status', ''], 'empty', '--status', 'must not be empty'),
];

const choices: BadInput[] = [
  ...flagValues(['export'], '--format', 'jsonl', [
    ['JSONL', 'upper case'],
    ['', 'empty'],
    ['exe', 'no format'],
    ['json,csv', 'one format per file'],
    ['xlsx', 'no format yet'],
    ['__proto__', 'a member of every object'],
    ['toString', 'a member of every object'],
    ['jsоnl', 'a Cyrillic letter that looks alike'],
  ]),
  ...flagValues(['export'], '--scope', 'approved', [
    ['approve', 'a slip'],
    ['approved ', 'a space behind'],
    ['everything', 'no scope'],
    ['constructor', 'a member of every object'],
  ]),
  ...flagValues(['export'], '--target', 'openai', [
    ['opneai', 'a slip'],
    ['OpenAI', 'upper case'],
    ['', 'empty'],
    ['hasOwnProperty', 'a member of every object'],
  ]),
  ...flagValues(['export'], '--sort', 'created_at', [
    ['random', 'no order that can be repeated'],
    ['id', 'always the last key'],
    ['created_at; drop table conversations', 'SQL'],
    ['created_at desc', 'a direction has a flag of its own'],
  ]),
  ...flagValues(['export'], '--order', 'desc', [
    ['ASC', 'upper case'],
    ['down', 'no direction'],
  ]),
  ...flagValues(['export'], '--expand', 'pairs', [['all', 'no such expansion']]),
  ...flagValues(['export'], '--log-format', 'json', [['logfmt', 'no such form']]),
  ...flagValues(['worker'], '--log-format', 'json', [['xml', 'no such form']]),
  ...flagValues(['history'], '--format', 'jsonl', [
    ['exe', 'no format'],
    ['jsonl,exe', 'one of two is none'],
    ['jsonl,', 'an end without a value'],
  ]),
  ...flagValues(['history'], '--status', 'completed', [
    ['complete', 'a slip'],
    ["completed' or '1'='1", 'SQL'],
  ]),
  ...flagValues(['history'], '--scope', 'approved', [['mine', 'no scope']]),
  ...flagValues(['history'], '--sort', 'timestamp', [['random()', 'an expression']]),
  ...flagValues(['history'], '--order', 'desc', [['up', 'no direction']]),
  ...flagValues(['history', '--stats'], '--by', 'hour', [['minute', 'too fine']]),
  ...flagValues(['validate', '-'], '--target', 'openai', [['gpt', 'no target']]),
  ...flagValues(['validate', '-'], '--format', 'jsonl', [['yaml', 'no format']]),
];

const numbers: BadInput[] = [
  ...flagValues(['export'], '--limit', whole, NO_WHOLE_NUMBERS),
  ...flagValues(['export'], '--batch-size', `${whole} 1 to 10000`, [
    ...SLIPS,
    ['0', 'no progress'],
    ['10001', 'too many'],
  ]),
  ...flagValues(['export'], '--job-from', whole, SLIPS),
  ...flagValues(['export'], '--preview', `${whole} 1 to 1000`, [
    ...SLIPS.filter(([value]) => value !== ''),
    ['0', 'nothing to see'],
    ['1001', 'more than a look'],
  ]),
  ...flagValues(['history'], '--page', whole, [...SLIPS, ['0', 'pages begin at 1']]),
  ...flagValues(['history'], '--limit', `${whole} 1 to 100`, [
    ['101', 'more than a page'],
    ['0', 'no page'],
    ['1e1', 'an exponent'],
  ]),
  ...flagValues(['cleanup', '--logs'], '--older-than', whole, SLIPS),
  ...flagValues(['export'], '--min-quality', decimal, NO_SCORES),
  ...flagValues(['export'], '--max-quality', decimal, [
    ['10.01', 'too high'],
    ['ten', 'a word'],
    ['', 'empty'],
  ]),
  ...flagValues(['export'], '--retention-hours', decimal, [
    ['0', 'gone at once'],
    ['-24', 'gone before'],
    ['1d', 'a unit'],
    ['forever', 'a word'],
    ['99999999999', 'more than ten years'],
    ['', 'empty'],
  ]),
  ...['--timeout', '--stall-timeout'].flatMap((flag) =>
    flagValues(['export'], flag, decimal, [
      ['0', 'over at once'],
      ['30s', 'a unit'],
      ['-1', 'negative'],
      ['1e3', 'an exponent'],
      ['Infinity', 'a word'],
    ]),
  ),
  ...flagValues(['worker'], '--poll', decimal, [
    ['0', 'never at rest'],
    ['3601', 'more than an hour'],
    ['1m', 'a unit'],
    ['', 'empty'],
  ]),
  ...flagValues(['worker'], '--timeout', decimal, [
    ['0', 'over at once'],
    ['1h', 'a unit'],
  ]),
  ...flagValues(['status', '--watch'], '--interval', decimal, [
    ['0', 'never at rest'],
    ['0x1', 'hexadecimal'],
    ['99999', 'more than an hour'],
    ['', 'empty'],
  ]),
  ...flagValues(['export'], '--max-skipped', 'or a share such as 5%', [
    ['5 %', 'a space'],
    ['101%', 'more than all'],
    ['1.5', 'half a conversation'],
    ['-1', 'negative'],
    ['%', 'no number'],
    ['', 'empty'],
    ['five', 'a word'],
    ['1e2%', 'an exponent'],
  ]),
];

const dates: BadInput[] = [
  ...flagValues(['export'], '--from', date, NO_MOMENTS),
  ...flagValues(['export'], '--to', date, [
    ['2025-06-31', 'June has 30 days'],
    ['infinity', 'a word that PostgreSQL would take'],
    ['0000-01-01', 'PostgreSQL knows no year 0'],
  ]),
  ...flagValues(['history'], '--from', date, [
    ['2025-02-30', 'Date() reads 2 March'],
    ['0000-01-01', 'PostgreSQL knows no year 0'],
    ['7d', 'a span belongs to --since'],
  ]),
  ...flagValues(['history'], '--to', date, [
    ['10/29/2025', 'is it October?'],
    ['2025-10-29T10:00', 'no zone'],
  ]),
  ...flagValues(['history', '--stats'], '--since', 'how long ago', [
    ['0d', 'no time at all'],
    ['7', 'of what?'],
    ['7 d', 'a space'],
    ['7D', 'upper case'],
    ['1.5h', 'a fraction'],
    ['-1h', 'in the future'],
    ['999999999w', 'before everything'],
    ['1y', 'years differ'],
    ['2025-02-30', 'Date() reads 2 March'],
    ['1969-12-31', 'before 1970'],
    ['', 'empty'],
  ]),
  line(
    ['export', '--from', '2025-10-30', '--to', '2025-10-29'],
    'nothing lies between',
    'dateFrom',
    'dateTo',
  ),
  line(
    ['export', '--from', '2025-10-29T12:00:00Z', '--to', '2025-10-29T11:00:00Z'],
    'nothing lies between',
    'dateFrom',
    'dateTo',
  ),
  line(
    ['export', '--from', '2025-10-29T12:00:00+02:00', '--to', '2025-10-29T09:59:59Z'],
    'nothing lies between, in one zone',
    'dateFrom',
    'dateTo',
  ),
  line(['history', '--from', '2025-10-30', '--to', '2025-10-29'], 'nothing lies between', 'from', 'to'),
];

const ids: BadInput[] = [
  ...flagValues(['export'], '--user', uuid, NO_UUIDS),
  ...flagValues(['export'], '--cancel', uuid, NO_UUIDS.slice(0, 6)),
  ...flagValues(['export'], '--like', uuid, NO_UUIDS.slice(0, 6)),
  ...flagValues(['worker'], '--job', uuid, NO_UUIDS.slice(0, 6)),
  ...['status', 'history', 'download'].flatMap((command) =>
    NO_UUIDS.filter(([value]) => value !== '')
      .slice(0, 8)
      .map(([value, why]) => line([command, value], why, value, uuid)),
  ),
  line(['download', '../../etc/passwd'], 'a path', '../../etc/passwd', uuid),
  line(['status', 'latest'], 'a word; the latest is the default', 'latest', uuid),
];

const lists: BadInput[] = [
  '--ids',
  '--tier',
  '--status',
  '--exclude-status',
  '--category',
  '--persona',
  '--emotion',
  '--topic',
].flatMap((flag) => [
  line(['export', flag, ''], 'a list of nothing', flag, 'separated by commas'),
  line(['export', flag, 'a,,b'], 'a value is missing', flag, 'a,,b', 'separated by commas'),
  line(['export', flag, ' , '], 'values of nothing but space', flag, 'separated by commas'),
]);

const rules: BadInput[] = [
  ...flagValues(['export'], '--on', 'NAME=WORD', [
    ['', 'empty'],
    ['late-system', 'no action'],
    ['=skip', 'no rule'],
    ['late-system=', 'no action'],
    ['late-system=skip,', 'an end without a value'],
    ['late system = s kip', 'spaces within'],
  ]),
  line(['export', '--on', 'late-systm=skip'], 'no such rule', 'late-systm', 'rules are'),
  line(['export', '--on', 'late-system=drop'], 'no such action', 'late-system', 'skip'),
  line(['export', '--on', '__proto__=skip'], 'a member of every object, lost without a word', '__proto__'),
  line(['export', '--on', 'constructor=skip'], 'a member of every object', 'constructor'),
  line(['export', '--on', 'late-system=skip,late-system=fail'], 'which one?', 'late-system', 'twice'),
  line(['export', '--role-map', 'human=person'], 'no role', 'human'),
  line(['export', '--role-map', 'human'], 'means what?', '--role-map', 'NAME=WORD'),
  line(
    ['export', '--role-map', '__proto__=user'],
    'a member of every object, lost without a word',
    '__proto__',
  ),
  line(['export', '--role-map', 'a=user,a=assistant'], 'which one?', 'a', 'twice'),
  ...flagValues(['export'], '--preset', 'letters, digits', [
    ['', 'empty'],
    ['__proto__', 'a member of every object'],
    ['../secret', 'a path'],
    ['-x', 'looks like a flag'],
    ['a b', 'a space'],
    ['x'.repeat(65), 'too long'],
  ]),
  ...flagValues(['export'], '--save-preset', 'letters, digits', [
    ['__proto__', 'a member of every object'],
    ['a/b', 'a path'],
    ['', 'empty'],
  ]),
  line(['export', '--preset', 'constructor'], 'nobody saved it', 'constructor', 'preset'),
  line(['export', '--preset', 'unsaved'], 'nobody saved it', 'unsaved', '--save-preset'),
  ...flagValues(['export'], '--system-prompt-from', 'parameters.KEY', [
    ['prompt', 'no path'],
    ['parameters.', 'no key'],
    ['parameters..a', 'an empty key'],
    ['parameters.a b', 'a space'],
    ['', 'empty'],
  ]),
  line(['export', '--shape', 'messages'], 'the shape of what?', 'shape', 'target'),
  line(['export', '--target', 'openai', '--shape', 'round'], 'no such shape', 'round'),
];

const contradictions: BadInput[] = [
  line(['export', '--limit', '1', '--limit', '2'], 'which one?', '--limit', 'given twice'),
  line(['export', '--format', 'jsonl', '--format', 'jsonl'], 'twice is a slip', '--format', 'given twice'),
  line(['export', '--output', 'a', '-o', 'b'], 'which one?', '--output', 'given twice'),
  line(['export', '--from', '2025-01-01', '--from', '2025-01-02'], 'which one?', '--from', 'given twice'),
  line(['history', '--user', AN_ID, '--user', ANOTHER_ID], 'which one?', '--user', 'given twice'),
  line(['worker', '--job', AN_ID, '--job', ANOTHER_ID], 'which one?', '--job', 'given twice'),
  line(['export', '--metadata', '--no-metadata'], 'both', '--metadata', '--no-metadata'),
  line(['export', '--no-timestamps', '--timestamps'], 'both', '--timestamps', '--no-timestamps'),
  line(['export', '--no-full-content', '--full-content'], 'both', '--full-content'),
  line(['export', '--verify', '--no-verify'], 'both', '--verify'),
  line(['export', '--no-full-content'], 'teaches nothing', 'jsonl', 'turns'),
  line(
    ['export', '--min-quality', '9', '--max-quality', '8'],
    'nothing lies between',
    'qualityScoreMin',
    'qualityScoreMax',
  ),
  line(['export', '--scope', 'selected'], 'which ones?', 'ids', 'selected'),
  line(['export', '--scope', 'filtered'], 'by what?', 'filter', 'filtered'),
  line(['export', '--scope', 'approved', '--ids', AN_ID], 'the ids would be ignored', 'ids', 'selected'),
  line(['export', '--scope', 'all', '--ids', AN_ID], 'the ids would be ignored', 'ids', 'selected'),
  line(['export', '--target', 'openai', '--format', 'csv'], 'a target is JSON Lines', 'target', 'jsonl'),
  line(
    ['export', '--target', 'openai', '--metadata'],
    'a target has no place for it',
    '--metadata',
    '--target',
  ),
  line(['export', '--compact'], 'JSON Lines have one line each', '--compact', '--format json'),
  line(['export', '--csv-raw'], 'there are no cells', '--csv-raw', '--format csv'),
  line(['export', '--no-bom'], 'there is no mark', '--no-bom', '--format csv'),
  line(
    ['export', '--system-prompt', 'a', '--system-prompt-from', 'parameters.b'],
    'which one?',
    '--system-prompt',
    'exclude',
  ),
  line(['export', '--dry-run', '--preview'], 'which one?', '--preview', '--dry-run'),
  line(['export', '--detach', '--dry-run'], 'which one?', '--detach', '--dry-run'),
  line(['export', '--cancel', AN_ID, '--detach'], 'which one?', '--cancel', '--detach'),
  line(['export', '--cancel', AN_ID, '--like', ANOTHER_ID], 'which one?', '--cancel', '--like'),
  line(['export', '--cancel', AN_ID, '--output', 'a.jsonl'], 'nothing is written', '--cancel', '--output'),
  line(['export', '--cancel', AN_ID, '--limit', '5'], 'nothing is exported', '--cancel', '--limit'),
  line(['export', '--cancel', AN_ID, '--save-preset', 'x'], 'nothing is saved', '--cancel', '--save-preset'),
  line(['export', '--like', AN_ID, '--limit', '5'], 'what was asked for is fixed', '--like', '--limit'),
  line(['export', '--like', AN_ID, '--preset', 'x'], 'what was asked for is fixed', '--like', '--preset'),
  line(['export', '--detach', '--report', 'r.jsonl'], 'nobody would write it', '--detach', '--report'),
  line(['export', '--dry-run', '--report', 'r.jsonl'], 'nobody would write it', '--dry-run', '--report'),
  line(['export', '--preview', '--report', 'r.jsonl'], 'nobody would write it', '--preview', '--report'),
  line(['export', '--detach', '--output', '-'], 'nobody would read it', 'Standard output'),
  line(['init', '--dry-run', '--verify'], 'which one?', '--dry-run', '--verify'),
  line(['init', '--down', '--demo'], 'which one?', '--down', '--demo'),
  line(['init', '--verify', '--down'], 'which one?', '--verify', '--down'),
  line(['init', '--hardened', '--down'], 'which one?', '--hardened'),
  line(['init', '--demo'], 'real conversations would mix with the demo', 'embedded', '--force'),
  line(['status', '--interval', '5'], 'of what?', '--interval', '--watch'),
  line(['worker', '--job', AN_ID, '--drain'], 'which one?', '--job', '--drain'),
  line(['history', AN_ID, '--status', 'failed'], 'it is one export', '--status', 'export id'),
  line(['history', AN_ID, '--csv'], 'it is one export', '--csv', 'export id'),
  line(['history', AN_ID, '--stats'], 'it is one export', '--stats', 'export id'),
  line(['history', '--stats', '--page', '2'], 'numbers have no pages', '--page', '--stats'),
  line(['history', '--since', '7d'], 'a list has --from', '--since', '--stats'),
  line(['history', '--csv', '--json'], 'which one?', '--json', '--csv'),
  line(['history', '--output', 'a.csv'], 'a list goes to the screen', '--output', '--csv'),
  line(['history', '--force'], 'nothing would be replaced', '--force', '--csv'),
  line(['history', '--check', '--prometheus'], 'which one?', '--check', '--prometheus'),
  line(['history', '--prometheus', '--json'], 'which one?', '--prometheus', '--json'),
  line(['history', '--check', '--by', 'day'], 'a check has no days', '--check', '--by'),
  line(['cleanup', '--older-than', '90'], 'of the log?', '--older-than', '--logs'),
  line(['cleanup', '--archive-dir', 'a'], 'of the log?', '--archive-dir', '--logs'),
  line(['cleanup', '--force'], 'of the log?', '--force', '--logs'),
  line(['cleanup', '--timezone', 'UTC'], 'of which schedule?', '--timezone', '--schedule'),
  line(['cleanup', '--logs', '--older-than', '29'], 'too young to be removed', '30 days', '--force'),
  line(['cleanup', '--logs', '--delete-orphans'], 'orphans are files', '--delete-orphans', '--files'),
  line(['cleanup', '--dry-run', '--schedule', '0 2 * * *'], 'which one?', '--dry-run', '--schedule'),
  line(['import', '-', '-'], 'it can be read only once', 'Standard input', 'once'),
  line(['validate', '-', '-'], 'it can be read only once', 'Standard input', 'once'),
];

const schedules: BadInput[] = [
  ...(
    [
      ['at night', 'words'],
      ['* * *', 'too few fields'],
      ['* * * * * * *', 'too many fields'],
      ['61 * * * *', 'no minute'],
      ['0 24 * * *', 'no hour'],
      ['0 0 32 * *', 'no day'],
      ['0 0 * 13 *', 'no month'],
      ['0 0 * * 9', 'no day of the week'],
      ['*/0 * * * *', 'every none'],
      ['0 0 31 2 *', 'a day that never comes'],
      ['@weekly now', 'half a word'],
      ['0 2 * * *; rm -rf /', 'a command'],
    ] as const
  ).map(([cron, why]) => line(['cleanup', '--schedule', cron], why, '--schedule', 'cron expression')),
  ...(
    [
      ['Mars/Olympus', 'no such place'],
      ['CEST', 'no name of a zone'],
      ['25', 'a number'],
      ['__proto__', 'a member of every object'],
      ['../../etc/localtime', 'a path'],
    ] as const
  ).map(([zone, why]) =>
    line(
      ['cleanup', '--schedule', '0 2 * * *', '--timezone', zone],
      why,
      '--timezone',
      zone,
      'Europe/Berlin',
    ),
  ),
];

const places: BadInput[] = [
  ...['s3://bucket/key', 'https://example.org/x', 'file:///etc/passwd', 'S3://bucket'].flatMap((place) => [
    line(['export', '--output', place], 'not a place of this machine', '--output', 'not supported'),
    line(['download', AN_ID, '--output', place], 'not a place of this machine', '--output', 'not supported'),
  ]),
  line(['export', '--ids-file', 'absent.txt'], 'not there', '--ids-file', 'no such file'),
  line(['export', '--ids-file', '.'], 'not a file', '--ids-file', 'directory'),
  line(['export', '--ids-file', '-'], 'nothing is on standard input', '--ids-file -', 'one id per line'),
  line(['export', '--filter-file', 'absent.json'], 'not there', '--filter-file', 'no such file'),
  line(['export', '--filter-file', '/dev/zero'], 'without an end', '--filter-file', 'too large'),
  line(['export', '--system-prompt-file', 'absent.txt'], 'not there', '--system-prompt-file', 'no such file'),
  line(
    ['export', '--system-prompt-file', '/dev/zero'],
    'without an end',
    '--system-prompt-file',
    'too large',
  ),
  line(['export', '--system-prompt-file', '/dev/null'], 'empty', '--system-prompt-file', 'empty'),
  line(['export', '--config', 'absent.json'], 'not there', '--config', 'no such file'),
  line(['export', '--config', '.'], 'not a file', '--config', 'directory'),
  line(['config', '--config', '/dev/zero'], 'without an end', '/dev/zero', 'too large'),
  line(['config', '--config', '/dev/null'], 'empty', '/dev/null', 'not valid JSON'),
  line(['config', '--config', '/proc/self/mem'], 'cannot be read', '/proc/self/mem'),
  line(['config', '--config', '/etc/passwd/x'], 'below a file', '/etc/passwd/x', '--config'),
  line(
    ['config', '--config', `${'x'.repeat(300)}.json`],
    'a longer name than the system takes',
    '--config',
    'ENAMETOOLONG',
  ),
  line(['history', '--dotenv', 'absent.env'], 'not there', 'absent.env', '--dotenv'),
  line(['history', '--dotenv', '.'], 'not a file', '--dotenv', 'directory'),
  line(['import', 'absent.jsonl'], 'not there', 'absent.jsonl', 'existing file'),
  line(['import', '.'], 'not a file', 'directory'),
  line(['validate', 'absent.jsonl'], 'not there', 'absent.jsonl', 'existing file'),
  line(['validate', '.'], 'not a file', 'directory'),
  line(['export', '--metrics-file', 'absent/m.jsonl'], 'no such directory', '--metrics-file', 'directory'),
  line(['export', '--metrics-file', '.'], 'not a file', '--metrics-file', 'directory'),
  line(['cleanup'], 'nothing was ever stored there', 'LORA_EXPORT_DIR'),
];

/** Command lines: flags, values, ids, dates, contradictions. */
export const words: readonly BadInput[] = [
  ...unknown,
  ...missing,
  ...choices,
  ...numbers,
  ...dates,
  ...ids,
  ...lists,
  ...rules,
  ...contradictions,
  ...schedules,
  ...places,
];
