import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { LoraExportError } from '../errors.js';
import { MOST_BYTES, placeToSave, readConfigFiles, type ConfigPlace } from './config-file.js';
import { kebab } from './flags.js';
import type { Host } from './host.js';
import type { StoredPreset } from './presets.js';
import { quoted } from './quoted.js';
import {
  definitionOf,
  settingKeys,
  type Scalar,
  type SettingFlags,
  type SettingKey,
  type SettingValue,
} from './setting-definitions.js';
import { readTextFile } from './text-file.js';

/** A setting and where it came from, for messages. */
export interface Setting<T> {
  readonly value: T;
  readonly origin: string;
}

/** Where a value can come from. */
export type SettingSource = 'default' | 'file' | 'environment' | 'flag';

/** A settled setting, and which of its sources won. */
export interface SettledSetting {
  readonly value: Scalar | null;
  readonly source: SettingSource;
  /** The flag, the variable or the path of the file; for a default, `default`. */
  readonly place: string;
  /** Orders the places: a higher one wins. */
  readonly rank: number;
}

/** The flags that every command that uses a database has, and those that stand for a setting. */
export interface ConnectionFlags extends SettingFlags {
  readonly config?: string;
  readonly dotenv?: string;
  readonly allUsers?: boolean;
  readonly debug?: boolean;
}

/** What holds unless the command line says otherwise: flags, then environment, then configuration files, then defaults. */
export interface Settings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly databaseUrl: Setting<string> | null;
  readonly userId: Setting<string> | null;
  readonly schema: string;
  readonly auditSchema: string;
  /** `--all-users` was typed; it is no setting that one forgets about. */
  readonly allUsers: boolean;
  /** Managed export directory, when set; absolute. */
  readonly directory: string | null;
  readonly retentionHours: number | undefined;
  readonly format: SettingValue<'format'>;
  readonly target: SettingValue<'target'>;
  readonly scope: SettingValue<'scope'>;
  /** Conversations from which a run is a job. */
  readonly jobFrom: number;
  /** Where a line per finished run is appended; absolute. */
  readonly metricsFile: string | null;
  readonly logFormat: SettingValue<'logFormat'>;
  /** Where `cleanup --logs` keeps what it removes, when set; absolute. */
  readonly archiveDirectory: string | null;
  readonly logRetentionDays: number;
  /** `cleanup --logs` is refused while this is on. */
  readonly legalHold: boolean;
  /** No limit where null. */
  readonly maxExportsPerHour: number | null;
  readonly alerts: Alerts;
  /** Presets of all configuration files, by name. */
  readonly presets: ReadonlyMap<string, StoredPreset>;
  /** The configuration files, the one that wins first. */
  readonly places: readonly ConfigPlace[];
  /** Every setting with its origin. */
  readonly settled: Readonly<Record<SettingKey, SettledSetting>>;
  /**
   * The configuration file that a preset is saved in.
   * @throws LoraExportError `E_USAGE` where there is no place for one
   */
  presetFile(this: void): string;
}

/** From when `history --check` raises an alarm. */
export interface Alerts {
  /** Share of failed runs, 0 to 1. */
  readonly failureRate: number;
  /** Average duration of small exports, in seconds. */
  readonly smallExportSeconds: number;
  /** Exports of fewer conversations are small. */
  readonly smallExportConversations: number;
  /** Bytes that managed files take. */
  readonly storageBytes: number;
}

/**
 * Settles everything that can be set in several places.
 * @param warn hears what is doubtful about a configuration file
 * @throws LoraExportError `E_USAGE` naming the file, variable or flag and what is wrong with it
 */
export function readSettings(
  flags: ConnectionFlags,
  host: Pick<Host, 'cwd' | 'env' | 'platform' | 'uid'>,
  warn: (text: string) => void = () => undefined,
): Settings {
  const dotenv = flags.dotenv === undefined ? {} : readDotenv(resolve(host.cwd, flags.dotenv));
  const env = { ...dotenv, ...host.env };
  const places = readConfigFiles(flags.config ?? (env['LORA_EXPORT_CONFIG'] || undefined), host, env, warn);
  const nameOf = (variable: string): string =>
    host.env[variable] === undefined ? `${variable} in ${flags.dotenv}` : variable;
  const settled = Object.fromEntries(
    settingKeys.map((key) => [key, settle(key, { flags, env, nameOf, places, cwd: host.cwd })]),
  ) as Record<SettingKey, SettledSetting>;
  // The definition of a key has checked its value.
  const value = <K extends SettingKey>(key: K): SettingValue<K> => settled[key].value as SettingValue<K>;
  const withOrigin = (key: 'databaseUrl' | 'userId'): Setting<string> | null => {
    const setting = value(key);
    return setting === null ? null : { value: setting, origin: originOf(key, settled[key]) };
  };
  return {
    env,
    databaseUrl: withOrigin('databaseUrl'),
    userId: withOrigin('userId'),
    schema: value('schema'),
    auditSchema: value('auditSchema'),
    allUsers: flags.allUsers === true,
    directory: value('directory'),
    retentionHours: value('retentionHours') ?? undefined,
    format: value('format'),
    target: value('target'),
    scope: value('scope'),
    jobFrom: value('jobFrom'),
    metricsFile: value('metricsFile'),
    logFormat: value('logFormat'),
    archiveDirectory: value('archiveDirectory'),
    logRetentionDays: value('logRetentionDays'),
    legalHold: value('legalHold'),
    maxExportsPerHour: value('maxExportsPerHour'),
    alerts: {
      failureRate: value('alerts.failureRate'),
      smallExportSeconds: value('alerts.smallExportSeconds'),
      smallExportConversations: value('alerts.smallExportConversations'),
      storageBytes: value('alerts.storageBytes'),
    },
    presets: presetsOf(places),
    places,
    settled,
    presetFile: () => placeToSave(places),
  };
}

/** How messages name the origin of a setting: `--schema`, `DATABASE_URL`, `schema in /…/config.json`. */
function originOf(key: SettingKey, { source, place }: SettledSetting): string {
  return source === 'file' ? `${key} in ${place}` : place;
}

interface Sources {
  readonly flags: SettingFlags;
  readonly env: Settings['env'];
  /** How messages name a variable. */
  readonly nameOf: (variable: string) => string;
  readonly places: readonly ConfigPlace[];
  readonly cwd: string;
}

function settle(key: SettingKey, { flags, env, nameOf, places, cwd }: Sources): SettledSetting {
  const { flag, variables = [], fromText, default: unset } = definitionOf(key);
  const typed = flag === undefined ? undefined : flags[flag];
  if (flag !== undefined && typed !== undefined) {
    const place = `--${kebab(flag)}`;
    return { value: checked(key, typed, place, cwd), source: 'flag', place, rank: places.length + 2 };
  }
  for (const variable of variables) {
    const text = env[variable] ?? '';
    if (text === '') continue;
    const place = nameOf(variable);
    const value = checked(key, fromText?.(text) ?? text, place, cwd);
    return { value, source: 'environment', place, rank: places.length + 1 };
  }
  for (const [index, { file, path }] of places.entries()) {
    const value = file?.settings.get(key);
    if (value !== undefined) return { value, source: 'file', place: path, rank: places.length - index };
  }
  return { value: unset, source: 'default', place: 'default', rank: 0 };
}

function checked(key: SettingKey, value: unknown, place: string, cwd: string): Scalar {
  const { schema, isPath, isSecret } = definitionOf(key);
  const result = schema.safeParse(value);
  if (result.success) return isPath ? resolve(cwd, String(result.data)) : result.data;
  const [issue] = result.error.issues;
  const shown = isSecret ? '' : `, not "${quoted(String(value))}"`;
  throw new LoraExportError('E_USAGE', `${place} ${issue?.message}${shown}.`);
}

function presetsOf(places: readonly ConfigPlace[]): Map<string, StoredPreset> {
  const presets = new Map<string, StoredPreset>();
  for (const { file, path } of places) {
    for (const [name, preset] of file?.presets ?? []) {
      if (!presets.has(name)) presets.set(name, { preset, path });
    }
  }
  return presets;
}

function readDotenv(path: string): Record<string, string | undefined> {
  return parseEnv(readTextFile(path, '--dotenv', MOST_BYTES));
}
