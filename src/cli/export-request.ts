import { lstatSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { LoraExportError } from '../errors.js';
import { invalidRequest, parseFilters, type ExportRequestInput, type Filters } from '../request.js';
import { z } from 'zod';
import { kebab } from './flags.js';
import { readJsonFile } from './json-file.js';
import { overlay } from './overlay-presets.js';
import { findPreset, type Preset } from './presets.js';
import { decodeText, MOST_TEXT_BYTES, readTextFile, tooLarge } from './text-file.js';
import type { ConnectionFlags, Settings } from './settings.js';

/** `export`'s flags as commander hands them over; whatever was not typed is absent. */
export interface ExportFlags extends ConnectionFlags {
  readonly preset?: string;
  readonly savePreset?: string;
  readonly format?: string;
  readonly scope?: string;
  readonly output?: string;
  readonly ids?: string[];
  readonly idsFile?: string;
  readonly ignoreMissing?: boolean;
  readonly tier?: string[];
  readonly status?: string[];
  readonly excludeStatus?: string[];
  readonly minQuality?: number;
  readonly maxQuality?: number;
  readonly from?: string;
  readonly to?: string;
  readonly category?: string[];
  readonly persona?: string[];
  readonly emotion?: string[];
  readonly topic?: string[];
  readonly search?: string;
  readonly parentId?: string;
  readonly createdBy?: string;
  readonly filterFile?: string;
  readonly sort?: string;
  readonly order?: string;
  readonly limit?: number;
  readonly metadata?: boolean;
  readonly qualityScores?: boolean;
  readonly timestamps?: boolean;
  readonly approvalHistory?: boolean;
  readonly parentReferences?: boolean;
  readonly fullContent?: boolean;
  readonly gzip?: boolean;
  readonly force?: boolean;
  readonly strict?: boolean;
  readonly requireAll?: boolean;
  readonly detach?: boolean;
  readonly cancel?: string;
  readonly like?: string;
  readonly jobFrom?: number;
  readonly metricsFile?: string;
  readonly logFormat?: string;
  readonly allowEmpty?: boolean;
  readonly report?: string;
  readonly dryRun?: boolean;
  readonly batchSize?: number;
  readonly jobs?: number;
  readonly retentionHours?: number;
  readonly target?: string;
  readonly shape?: string;
  readonly compact?: boolean;
  readonly bom?: boolean;
  readonly csvRaw?: boolean;
  readonly systemPrompt?: string;
  readonly systemPromptFile?: string;
  readonly systemPromptFrom?: string;
  readonly expand?: string;
  readonly tokens?: boolean;
  readonly verify?: boolean;
  readonly on?: Record<string, string>;
  readonly roleMap?: Record<string, string>;
  readonly maxSkipped?: { count: number } | { percent: number };
  readonly preview?: number | true;
  readonly stallTimeout?: number;
  readonly timeout?: number;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** What of the outside world a request depends on. */
export interface RequestSurroundings {
  readonly cwd: string;
  readonly stdin: Readable;
  readonly stdoutIsTerminal: boolean;
  readonly exportDirectory: string;
  readonly settings: Settings;
}

/**
 * The request that a command line means. Absent flags stay absent: the defaults live in the request's schema.
 * @throws LoraExportError `E_USAGE`
 */
export async function toRequest(
  flags: ExportFlags,
  around: RequestSurroundings,
): Promise<ExportRequestInput> {
  const { settings } = around;
  const chosen = flags.preset === undefined ? undefined : findPreset(settings.presets, flags.preset);
  const base = chosen === undefined ? usual(settings) : overlay(usual(settings), chosen.preset);
  const typed = await typedPreset(flags, around, base.sort);
  // A target that is only usual gives way to a typed format; that of a preset belongs to it.
  const what = overlay(
    base,
    typed,
    chosen?.preset.target === undefined ? undefined : `preset ${flags.preset}`,
  );
  refuseContentFlags(flags, what.target);
  refuseLayoutFlags(flags, what);
  const output = outputOf(flags.output, around);
  return withoutUndefined({
    ...what,
    gzip: flags.gzip ?? (output.kind === 'file' && output.path.endsWith('.gz') ? true : what.gzip),
    output,
    force: flags.force,
    batchSize: flags.batchSize,
    jobs: flags.jobs,
    retentionHours: flags.retentionHours ?? settings.retentionHours,
    schema: settings.schema,
    auditSchema: settings.auditSchema,
    userId: settings.userId?.value,
    allUsers: settings.allUsers,
  });
}

/** What is exported, and how it is written, when nothing is typed. */
function usual({ scope, format, target, settled }: Settings): Preset {
  const form = settled.format.rank - settled.target.rank;
  if (form === 0 && target !== null && format !== null && format !== 'jsonl') {
    throw new LoraExportError(
      'E_USAGE',
      `format ${format} and target ${target} contradict each other (${settled.target.place}): a target is written as jsonl.`,
      { hint: 'Leave one of the settings out.' },
    );
  }
  return withoutUndefined({
    scope: scope ?? undefined,
    // Both say how the file is written: what stands nearer to the command line wins.
    format: form >= 0 ? (format ?? undefined) : undefined,
    target: form <= 0 ? (target ?? undefined) : undefined,
  });
}

/** The part of the command line that a preset can hold too. */
async function typedPreset(
  flags: ExportFlags,
  around: RequestSurroundings,
  sort: Preset['sort'],
): Promise<Preset> {
  return withoutUndefined({
    format: flags.format === 'md' ? 'markdown' : flags.format,
    target: flags.target,
    shape: flags.shape,
    scope: flags.scope,
    ids: await readIds(flags, around),
    ignoreMissing: flags.ignoreMissing,
    filters: readFilters(flags, around.cwd),
    excludeStatus: flags.excludeStatus,
    sort: sortOf(flags, sort),
    limit: flags.limit,
    content: withoutUndefined({
      includeMetadata: flags.metadata,
      includeQualityScores: flags.qualityScores,
      includeTimestamps: flags.timestamps,
      includeApprovalHistory: flags.approvalHistory,
      includeParentReferences: flags.parentReferences,
      includeFullContent: flags.fullContent,
    }),
    layout: withoutUndefined({
      compact: flags.compact,
      // The parser says true when nothing was typed, since there is no --bom.
      bom: flags.bom === false ? false : undefined,
      rawCells: flags.csvRaw,
    }),
    systemPrompt: systemPromptOf(flags, around.cwd),
    expand: flags.expand,
    rules: flags.on,
    roleMap: flags.roleMap,
    maxSkipped: flags.maxSkipped,
    tokens: flags.tokens,
    verify: flags.verify,
    gzip: flags.gzip,
    strict: flags.strict,
    allowEmpty: flags.allowEmpty,
    requireAll: flags.requireAll,
  }) as Preset;
}

/** A direction that is typed alone turns the order of the preset round; a key that is typed starts its own. */
function sortOf({ sort, order }: ExportFlags, base: Preset['sort']): object | undefined {
  if (sort !== undefined) return { key: sort, order: order ?? 'asc' };
  return order === undefined ? undefined : { key: base?.key ?? 'created_at', order };
}

/** The typed text must reach the model as it was typed; a file ends with a newline that nobody meant. */
function systemPromptOf(
  { systemPrompt, systemPromptFile, systemPromptFrom }: ExportFlags,
  cwd: string,
): ExportRequestInput['systemPrompt'] {
  const given = [systemPrompt, systemPromptFile, systemPromptFrom].filter((flag) => flag !== undefined);
  if (given.length > 1) {
    throw new LoraExportError(
      'E_USAGE',
      '--system-prompt, --system-prompt-file and --system-prompt-from exclude each other.',
    );
  }
  if (systemPrompt !== undefined) return { text: systemPrompt };
  if (systemPromptFrom !== undefined) return { parameter: systemPromptFrom };
  if (systemPromptFile === undefined) return undefined;
  const text = readTextFile(resolve(cwd, systemPromptFile), '--system-prompt-file').replace(/\r?\n$/, '');
  if (text.trim() === '')
    throw new LoraExportError('E_USAGE', `--system-prompt-file ${systemPromptFile} is empty.`);
  return { text };
}

/** Flags that a target leaves no room for: it writes what its reader reads, and nothing else. */
function refuseContentFlags(flags: ExportFlags, target: string | undefined): void {
  if (target === undefined) return;
  const typed = (
    ['metadata', 'qualityScores', 'timestamps', 'approvalHistory', 'parentReferences'] as const
  ).filter((flag) => flags[flag]);
  if (typed.length === 0) return;
  const [name] = typed.map((flag) => `--${kebab(flag)}`);
  throw new LoraExportError(
    'E_USAGE',
    `${name} and ${flags.target === undefined ? 'target' : '--target'} ${target} contradict each other: a target's file holds only what is trained on.`,
    {
      hint: 'Leave one of them out; --format jsonl without --target writes metadata.',
    },
  );
}

/** A layout flag that the format has no use for would be ignored without a word. */
function refuseLayoutFlags(flags: ExportFlags, { format = 'jsonl', target }: Preset): void {
  const useless = [
    flags.compact && format !== 'json' ? '--compact belongs to --format json' : null,
    flags.csvRaw && format !== 'csv' ? '--csv-raw belongs to --format csv' : null,
    flags.bom === false && format !== 'csv' && target !== 'azure'
      ? '--no-bom belongs to --format csv and --target azure'
      : null,
  ].find((problem) => problem !== null);
  if (useless === undefined) return;
  throw new LoraExportError('E_USAGE', `${useless}; it means nothing here.`, { hint: 'Leave it out.' });
}

type Output = NonNullable<ExportRequestInput['output']>;

function outputOf(
  path: string | undefined,
  { cwd, stdoutIsTerminal, exportDirectory }: RequestSurroundings,
): Output {
  if (path === '-') return { kind: 'stream' };
  if (path === undefined) {
    return stdoutIsTerminal ? { kind: 'managed', directory: exportDirectory } : { kind: 'stream' };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(path)?.[1];
  if (scheme !== undefined) {
    throw new LoraExportError('E_USAGE', `--output ${scheme}:// is not supported.`, {
      hint: 'Name a file, a directory/ or - for standard output.',
    });
  }
  const absolute = resolve(cwd, path);
  return { kind: path.endsWith('/') || isDirectory(absolute) ? 'directory' : 'file', path: absolute };
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    // Whoever writes there says what is wrong with it.
    return false;
  }
}

async function readIds(
  flags: ExportFlags,
  { cwd, stdin }: RequestSurroundings,
): Promise<string[] | undefined> {
  if (flags.idsFile === undefined) return flags.ids;
  const content =
    flags.idsFile === '-' ? await readAll(stdin) : readTextFile(resolve(cwd, flags.idsFile), '--ids-file');
  const lines = content
    .split(/\r\n?|\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0 && flags.ids === undefined) {
    throw new LoraExportError('E_USAGE', `--ids-file ${flags.idsFile} holds no ids.`, {
      hint: 'Write one id per line.',
    });
  }
  return [...(flags.ids ?? []), ...lines];
}

async function readAll(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    length += (chunk as Uint8Array).length;
    if (length > MOST_TEXT_BYTES) throw tooLarge('standard input (--ids-file -)', MOST_TEXT_BYTES);
    chunks.push(Buffer.from(chunk as Uint8Array));
  }
  return decodeText(Buffer.concat(chunks), 'standard input (--ids-file -)');
}

function readFilters(flags: ExportFlags, cwd: string): Filters | undefined {
  const fromFile = flags.filterFile === undefined ? {} : readFilterFile(resolve(cwd, flags.filterFile));
  const typed = withoutUndefined({
    tier: flags.tier,
    status: flags.status,
    qualityScoreMin: flags.minQuality,
    qualityScoreMax: flags.maxQuality,
    dateFrom: flags.from,
    dateTo: flags.to,
    categories: flags.category,
    personas: flags.persona,
    emotions: flags.emotion,
    topics: flags.topic,
    searchQuery: flags.search,
    parentId: flags.parentId,
    createdBy: flags.createdBy,
  });
  const all = { ...fromFile, ...typed };
  return Object.keys(all).length === 0 ? undefined : all;
}

function readFilterFile(path: string): Filters {
  const value = readJsonFile(path, '--filter-file');
  try {
    return parseFilters(value);
  } catch (error) {
    if (error instanceof z.ZodError) throw invalidRequest(error, path);
    throw error;
  }
}

function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}
