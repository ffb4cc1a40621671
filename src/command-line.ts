import { parseRequest, type ExportRequest, type ExportRequestInput } from './request.js';

/** The longest command line that every system takes, in bytes: that of Windows. */
const MOST_BYTES = 32_000;

/** Words after `lora-export export`, or what no flag can say. */
type Words = readonly string[] | null;

const CONTENT_FLAGS = {
  includeMetadata: 'metadata',
  includeQualityScores: 'quality-scores',
  includeTimestamps: 'timestamps',
  includeApprovalHistory: 'approval-history',
  includeParentReferences: 'parent-references',
  includeFullContent: 'full-content',
} as const satisfies Record<keyof ExportRequest['content'], string>;

const SWITCHES = {
  ignoreMissing: '--ignore-missing',
  tokens: '--tokens',
  strict: '--strict',
  gzip: '--gzip',
  force: '--force',
  allowEmpty: '--allow-empty',
  requireAll: '--require-all',
  allUsers: '--all-users',
} as const satisfies Partial<Record<keyof ExportRequest, string>>;

/**
 * The words of the command line that asks for the same export, beginning with `lora-export export`; null when flags
 * cannot say it: a list has a value with a comma or with white space around it, a number has more digits than flags
 * take, or the line would be longer than systems allow.
 *
 * Settings that play no part are left out, such as content flags for a target. A managed output needs no flag, since it
 * is where an export from a terminal goes.
 *
 * @throws LoraExportError `E_USAGE` when the request is not valid
 * @example
 * shellWords(commandLineOf({ filters: { tier: ['template'] } }) ?? []);
 * // lora-export export --format jsonl --scope approved --tier template --output -
 */
export function commandLineOf(input: ExportRequestInput): string[] | null {
  const request = parseRequest(input);
  const usual = parseRequest({});
  const parts = [
    ...what(request),
    ...which(request, usual),
    ...shown(request, usual),
    ...imperfect(request),
    ...how(request, usual),
  ];
  if (parts.some((part) => part === null)) return null;
  const words = ['lora-export', 'export', ...parts.flatMap((part) => part ?? [])];
  return Buffer.byteLength(shellWords(words)) > MOST_BYTES ? null : words;
}

/** Words as one line for a shell (bash, zsh, ksh), which takes them apart again; nothing in it moves a cursor. */
export function shellWords(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word) && !word.startsWith('=')) return word;
  if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(word)) return `'${word.replaceAll("'", String.raw`'\''`)}'`;
  // Octal bytes mean the same in every locale, and end after three digits.
  const escaped = word.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}'\\]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join(''),
  );
  return `$'${escaped}'`;
}

function* what({ format, target, shape, scope, ids, ignoreMissing }: ExportRequest): Generator<Words> {
  if (target === undefined) yield flag('--format', format);
  yield text('--target', target);
  yield text('--shape', shape);
  if (ids === undefined) yield flag('--scope', scope);
  yield list('--ids', ids);
  yield on(SWITCHES.ignoreMissing, ignoreMissing);
}

function* which(
  { filters, excludeStatus, sort, limit }: ExportRequest,
  usual: ExportRequest,
): Generator<Words> {
  yield list('--tier', filters.tier);
  yield list('--status', filters.status);
  yield list('--exclude-status', excludeStatus);
  yield number('--min-quality', filters.qualityScoreMin);
  yield number('--max-quality', filters.qualityScoreMax);
  yield moment('--from', filters.dateFrom);
  yield moment('--to', filters.dateTo);
  yield list('--category', filters.categories);
  yield list('--persona', filters.personas);
  yield list('--emotion', filters.emotions);
  yield list('--topic', filters.topics);
  yield text('--search', filters.searchQuery);
  yield text('--parent-id', filters.parentId);
  yield text('--created-by', filters.createdBy);
  if (sort.key !== usual.sort.key) yield flag('--sort', sort.key);
  if (sort.order !== usual.sort.order) yield flag('--order', sort.order);
  yield text('--limit', limit?.toString());
}

function* shown(request: ExportRequest, usual: ExportRequest): Generator<Words> {
  const { content, layout, format, target, systemPrompt, expand, verify, tokens } = request;
  if (target === undefined) {
    for (const [key, name] of Object.entries(CONTENT_FLAGS) as [keyof typeof CONTENT_FLAGS, string][]) {
      if (content[key] !== usual.content[key]) yield [content[key] ? `--${name}` : `--no-${name}`];
    }
  }
  yield on('--compact', layout.compact && format === 'json');
  yield on('--no-bom', !layout.bom && (format === 'csv' || target === 'azure'));
  yield on('--csv-raw', layout.rawCells && format === 'csv');
  if (systemPrompt !== undefined) {
    yield 'text' in systemPrompt
      ? text('--system-prompt', systemPrompt.text)
      : parameter('--system-prompt-from', systemPrompt.parameter);
  }
  yield text('--expand', expand);
  if (verify !== undefined) yield [verify ? '--verify' : '--no-verify'];
  yield on(SWITCHES.tokens, tokens);
}

function* imperfect({ rules, roleMap, strict, maxSkipped }: ExportRequest): Generator<Words> {
  yield pairs('--on', rules);
  yield pairs('--role-map', roleMap);
  yield on(SWITCHES.strict, strict);
  if (maxSkipped !== undefined) {
    yield 'count' in maxSkipped
      ? number('--max-skipped', maxSkipped.count)
      : number('--max-skipped', maxSkipped.percent, { digits: 3, unit: '%' });
  }
}

function* how(request: ExportRequest, usual: ExportRequest): Generator<Words> {
  const { output, gzip, batchSize, jobs, retentionHours, schema, auditSchema, userId } = request;
  yield destination(output, gzip);
  yield on(SWITCHES.gzip, gzip);
  yield on(SWITCHES.force, request.force);
  yield on(SWITCHES.allowEmpty, request.allowEmpty);
  yield on(SWITCHES.requireAll, request.requireAll);
  if (batchSize !== usual.batchSize) yield number('--batch-size', batchSize);
  if (jobs !== undefined) yield number('--jobs', jobs);
  if (retentionHours !== usual.retentionHours)
    yield number('--retention-hours', retentionHours, { least: 0.001 });
  if (schema !== usual.schema) yield flag('--schema', schema);
  if (auditSchema !== usual.auditSchema) yield flag('--audit-schema', auditSchema);
  yield text('--user', userId);
  yield on(SWITCHES.allUsers, request.allUsers);
}

function destination(output: ExportRequest['output'], gzip: boolean): Words {
  switch (output.kind) {
    case 'stream':
      return flag('--output', '-');
    case 'managed':
      return [];
    case 'directory':
      return flag('--output', output.path.endsWith('/') ? output.path : `${output.path}/`);
    case 'file':
      // The name alone would switch compression on.
      return output.path.endsWith('.gz') && !gzip ? null : flag('--output', output.path);
  }
}

/** In one word where the value could be taken for another flag. */
function flag(name: string, value: string): Words {
  return value.startsWith('-') && value !== '-' ? [`${name}=${value}`] : [name, value];
}

function on(name: string, isOn: boolean): Words {
  return isOn ? [name] : [];
}

function text(name: string, value: string | undefined): Words {
  return value === undefined ? [] : flag(name, value);
}

function list(name: string, values: readonly string[] | undefined): Words {
  if (values === undefined) return [];
  return values.every(isListable) ? flag(name, values.join(',')) : null;
}

function isListable(value: string): boolean {
  return value !== '' && value === value.trim() && !value.includes(',');
}

function pairs(name: string, map: Readonly<Record<string, string>> | undefined): Words {
  if (map === undefined) return [];
  const entries = Object.entries(map);
  if (entries.length === 0) return [];
  if (!entries.every(([key]) => isListable(key) && !key.includes('='))) return null;
  return flag(name, entries.map((pair) => pair.join('=')).join(','));
}

function number(
  name: string,
  value: number | undefined,
  { digits = 6, least = 0, unit = '' }: { digits?: number; least?: number; unit?: string } = {},
): Words {
  if (value === undefined) return [];
  // Very large and very small numbers are printed with an exponent, which flags do not take.
  const [plain, fraction = ''] = /^\d{1,9}(?:\.(\d+))?$/.exec(String(value)) ?? [];
  const isTaken = plain !== undefined && fraction.length <= digits && value >= least;
  return isTaken ? flag(name, `${plain}${unit}`) : null;
}

function moment(name: string, value: string | undefined): Words {
  // Flags go down to microseconds, as far as the database knows time.
  return value !== undefined && /\.\d{7}/.test(value) ? null : text(name, value);
}

function parameter(name: string, path: string): Words {
  return /^[^.\s]+(?:\.[^.\s]+)*$/.test(path) ? flag(name, `parameters.${path}`) : null;
}
