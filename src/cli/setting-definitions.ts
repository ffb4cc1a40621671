import { z } from 'zod';
import { formatNames } from '../formats/index.js';
import { SCOPES } from '../request.js';
import { targetNames } from '../targets/index.js';

/** Flags of commands that say the same as a setting; a command has those that it registers. */
export interface SettingFlags {
  readonly databaseUrl?: string;
  readonly user?: string;
  readonly schema?: string;
  readonly auditSchema?: string;
  readonly jobFrom?: number;
  readonly metricsFile?: string;
  readonly logFormat?: string;
  readonly archiveDir?: string;
}

/** Every setting is one of these, so that a variable can say it. */
export type Scalar = string | number | boolean;

/** All that is known about one setting; reading, `config`, messages and documents take it from here. */
export interface SettingDefinition<T extends Scalar, Unset extends T | null> {
  /** For people, in a few words. */
  readonly means: string;
  /** Its one problem is worded so that it can follow the name of a flag, a variable or a key. */
  readonly schema: z.ZodType<T>;
  readonly default: Unset;
  /** What holds without it, in words, where it has no value then. */
  readonly otherwise?: string;
  /** Variables that set it, the first one that is not empty. */
  readonly variables?: readonly string[];
  /** The flag that sets it, wherever a command has that flag. */
  readonly flag?: keyof SettingFlags;
  /** What the text of a variable means, where it is no text. A text that makes no sense is given back as it is. */
  readonly fromText?: (text: string) => unknown;
  /** A path; relative ones start where they are written: at the file, else at the working directory. */
  readonly isPath?: true;
  /** Never shown as it is. */
  readonly isSecret?: true;
}

const text = z
  .string('must be a non-empty string')
  .min(1, 'must be a non-empty string')
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character');

/** PostgreSQL cuts longer names without a word, and would look at another schema. */
const schemaName = text.refine((name) => Buffer.byteLength(name) <= 63, 'must have at most 63 bytes');

/** The settings by their keys in a configuration file; a dot leads into an object. */
export const SETTINGS = {
  databaseUrl: define({
    means: 'the database',
    schema: text,
    default: null,
    otherwise: 'the embedded database',
    variables: ['LORA_EXPORT_DATABASE_URL', 'DATABASE_URL'],
    flag: 'databaseUrl',
    isSecret: true,
  }),
  userId: define({
    means: 'whom the audit log names',
    schema: z.guid('must be a UUID'),
    default: null,
    otherwise: 'the database role, where there is no auth.users',
    variables: ['LORA_EXPORT_USER_ID'],
    flag: 'user',
  }),
  schema: define({
    means: 'schema of conversations and conversation_turns',
    schema: schemaName,
    default: 'public',
    variables: ['LORA_EXPORT_SCHEMA'],
    flag: 'schema',
  }),
  auditSchema: define({
    means: 'schema of export_logs and export_runs',
    schema: schemaName,
    default: 'public',
    variables: ['LORA_EXPORT_AUDIT_SCHEMA'],
    flag: 'auditSchema',
  }),
  directory: define({
    means: 'where exports without --output go',
    schema: text,
    default: null,
    variables: ['LORA_EXPORT_DIR'],
    isPath: true,
  }),
  retentionHours: define({
    means: 'hours until such an export expires',
    schema: number(
      (hours) => hours > 0 && hours <= 24 * 3660,
      'must be a number of hours greater than 0 and at most ten years',
    ),
    default: null,
    variables: ['LORA_EXPORT_RETENTION_HOURS'],
    fromText: toNumber,
  }),
  format: define({
    means: 'usual format of an export',
    schema: oneOf(formatNames),
    default: null,
    variables: ['LORA_EXPORT_FORMAT'],
  }),
  target: define({
    means: 'usual target of an export',
    schema: oneOf(targetNames),
    default: null,
    otherwise: 'none',
    variables: ['LORA_EXPORT_TARGET'],
  }),
  scope: define({
    means: 'usual scope of an export',
    schema: oneOf(SCOPES),
    default: null,
    variables: ['LORA_EXPORT_SCOPE'],
  }),
  jobFrom: define({
    means: 'exports of so many conversations are jobs',
    schema: wholeNumber(1, 2_147_483_647),
    default: 500,
    variables: ['LORA_EXPORT_JOB_FROM'],
    flag: 'jobFrom',
    fromText: toNumber,
  }),
  maxExportsPerHour: define({
    means: 'exports that one user may begin within an hour',
    schema: wholeNumber(1, 1_000_000),
    default: null,
    otherwise: 'any number',
    variables: ['LORA_EXPORT_MAX_EXPORTS_PER_HOUR'],
    fromText: toNumber,
  }),
  metricsFile: define({
    means: 'file that gets a line of JSON for each finished export',
    schema: text,
    default: null,
    otherwise: 'none',
    variables: ['LORA_EXPORT_METRICS_FILE'],
    flag: 'metricsFile',
    isPath: true,
  }),
  logFormat: define({
    means: 'what is said on standard error: text, or a line of JSON for each finished export',
    schema: oneOf(['text', 'json']),
    default: 'text',
    variables: ['LORA_EXPORT_LOG_FORMAT'],
    flag: 'logFormat',
  }),
  archiveDirectory: define({
    means: 'where cleanup --logs keeps what it removes',
    schema: text,
    default: null,
    otherwise: 'archive in the state directory',
    variables: ['LORA_EXPORT_ARCHIVE_DIR'],
    flag: 'archiveDir',
    isPath: true,
  }),
  logRetentionDays: define({
    means: 'days after which cleanup --logs removes log rows',
    schema: wholeNumber(1, 36_600),
    default: 30,
    variables: ['LORA_EXPORT_LOG_RETENTION_DAYS'],
    fromText: toNumber,
  }),
  legalHold: define({
    means: 'cleanup --logs is refused',
    schema: z.boolean('must be true or false'),
    default: false,
    variables: ['LORA_EXPORT_LEGAL_HOLD'],
    fromText: (word) =>
      word === 'true' || word === '1' ? true : word === 'false' || word === '0' ? false : word,
  }),
  'alerts.failureRate': define({
    means: 'history --check: largest share of failed exports',
    schema: number((share) => share >= 0 && share <= 1, 'must be a number from 0 to 1'),
    default: 0.1,
  }),
  'alerts.smallExportSeconds': define({
    means: 'history --check: longest average of small exports, in seconds',
    schema: number((seconds) => seconds > 0, 'must be a number greater than 0'),
    default: 60,
  }),
  'alerts.smallExportConversations': define({
    means: 'history --check: exports of fewer conversations are small',
    schema: wholeNumber(1, 2_147_483_647),
    default: 100,
  }),
  'alerts.storageBytes': define({
    means: 'history --check: most bytes of managed files',
    schema: wholeNumber(1, Number.MAX_SAFE_INTEGER),
    default: 10 * 1024 ** 3,
  }),
};

export type SettingKey = keyof typeof SETTINGS;

/** What a setting is once it is settled. */
export type SettingValue<K extends SettingKey> =
  (typeof SETTINGS)[K] extends SettingDefinition<infer T, infer Unset> ? T | Unset : never;

export const settingKeys = Object.keys(SETTINGS) as SettingKey[];

/** The definition of a setting, whatever its type. */
export function definitionOf(key: SettingKey): SettingDefinition<Scalar, Scalar | null> {
  return SETTINGS[key];
}

function define<T extends Scalar, const Unset extends T | null>(
  definition: SettingDefinition<T, Unset>,
): SettingDefinition<T, Unset> {
  return definition;
}

function oneOf<const T extends string>(words: readonly T[]): z.ZodType<T> {
  return z.enum(words, { error: `must be one of ${words.join(', ')}` });
}

function number(holds: (value: number) => boolean, problem: string): z.ZodType<number> {
  return z.number(problem).refine(holds, problem);
}

function wholeNumber(least: number, most: number): z.ZodType<number> {
  const problem = `must be a whole number from ${least} to ${most}`;
  return z.int(problem).min(least, problem).max(most, problem);
}

/** Digits only: `1e3` and `0x10` are more likely slips than numbers. */
function toNumber(digits: string): unknown {
  return /^\d{1,15}(\.\d{1,6})?$/.test(digits) ? Number(digits) : digits;
}
