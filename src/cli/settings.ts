import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { LoraExportError } from '../errors.js';
import { SCOPES } from '../request.js';
import { formatNames } from '../formats/index.js';
import type { Host } from './host.js';
import { readJsonFile } from './json-file.js';
import { readTextFile } from './text-file.js';

/** As in a request; checked here as well, so that the message can name the file or the variable. */
const MOST_RETENTION_HOURS = 24 * 3660;

/** What the configuration file may hold; a setting that nobody knows is an error, not a silence. */
const configFile = z.strictObject({
  databaseUrl: z.string().min(1).optional(),
  userId: z.guid('must be a UUID').optional(),
  schema: z.string().min(1).optional(),
  auditSchema: z.string().min(1).optional(),
  directory: z.string().min(1).optional(),
  retentionHours: z
    .number()
    .positive('must be greater than 0')
    .max(MOST_RETENTION_HOURS, 'must be at most ten years')
    .optional(),
  format: z.enum(formatNames).optional(),
  scope: z.enum(SCOPES).optional(),
});
type ConfigFile = z.infer<typeof configFile>;

/** A setting and where it came from, for messages. */
export interface Setting<T> {
  readonly value: T;
  readonly origin: string;
}

/** The flags that every command that uses a database has. */
export interface ConnectionFlags {
  readonly databaseUrl?: string;
  readonly config?: string;
  readonly dotenv?: string;
  readonly schema?: string;
  readonly auditSchema?: string;
  readonly user?: string;
  readonly allUsers?: boolean;
}

/** Settings below the flags: environment, then configuration file. */
export interface Settings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly databaseUrl: Setting<string> | null;
  readonly userId: Setting<string> | null;
  readonly schema: string;
  readonly auditSchema: string;
  /** `--all-users` was typed; it is no setting that one forgets about. */
  readonly allUsers: boolean;
  /** Managed export directory, when set. */
  readonly directory: string | null;
  readonly retentionHours: number | undefined;
  readonly format: ConfigFile['format'];
  readonly scope: ConfigFile['scope'];
}

/**
 * Settles everything that can be set in several places: typed flags, then environment, then configuration file.
 * @throws LoraExportError `E_USAGE` naming the file or variable and what is wrong with it
 */
export function readSettings(flags: ConnectionFlags, host: Host): Settings {
  const env =
    flags.dotenv === undefined ? host.env : { ...readDotenv(resolve(host.cwd, flags.dotenv)), ...host.env };
  const config = readConfig(flags.config ?? env['LORA_EXPORT_CONFIG'], host, env);
  const pick = (
    flag: string | undefined,
    flagName: string,
    variables: string[],
    fromConfig: string | undefined,
  ): Setting<string> | null => {
    if (flag !== undefined) return { value: flag, origin: flagName };
    for (const variable of variables) {
      const value = env[variable];
      if (value !== undefined && value !== '') return { value, origin: variable };
    }
    return fromConfig === undefined ? null : { value: fromConfig, origin: 'the configuration file' };
  };
  return {
    env,
    databaseUrl: pick(
      flags.databaseUrl,
      '--database-url',
      ['LORA_EXPORT_DATABASE_URL', 'DATABASE_URL'],
      config.databaseUrl,
    ),
    userId: checkedUser(pick(flags.user, '--user', ['LORA_EXPORT_USER_ID'], config.userId)),
    schema: pick(flags.schema, '--schema', ['LORA_EXPORT_SCHEMA'], config.schema)?.value ?? 'public',
    auditSchema:
      pick(flags.auditSchema, '--audit-schema', ['LORA_EXPORT_AUDIT_SCHEMA'], config.auditSchema)?.value ??
      'public',
    allUsers: flags.allUsers === true,
    directory: pick(undefined, '', ['LORA_EXPORT_DIR'], config.directory)?.value ?? null,
    retentionHours: retention(env['LORA_EXPORT_RETENTION_HOURS']) ?? config.retentionHours,
    format: config.format,
    scope: config.scope,
  };
}

function checkedUser(setting: Setting<string> | null): Setting<string> | null {
  if (setting === null || z.guid().safeParse(setting.value).success) return setting;
  throw new LoraExportError('E_USAGE', `${setting.origin} must be a UUID, not "${setting.value}".`);
}

function retention(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined;
  const hours = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (hours > 0 && hours <= MOST_RETENTION_HOURS) return hours;
  throw new LoraExportError(
    'E_USAGE',
    `LORA_EXPORT_RETENTION_HOURS must be a number of hours greater than 0 and at most ten years, not "${value}".`,
  );
}

function readDotenv(path: string): Record<string, string | undefined> {
  return parseEnv(readTextFile(path, '--dotenv'));
}

/** A file that was named must exist; the one at the usual place need not. */
function readConfig(named: string | undefined, host: Host, env: Settings['env']): ConfigFile {
  const path = named === undefined ? usualConfigPath(host, env) : resolve(host.cwd, named);
  if (path === null) return {};
  let value: unknown;
  try {
    value = readJsonFile(path, '--config');
  } catch (error) {
    if (named === undefined && isMissing(error)) return {};
    throw error;
  }
  const result = configFile.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`,
  );
  throw new LoraExportError('E_USAGE', `${path} is not a valid configuration: ${problems.join('; ')}.`, {
    hint: `Known settings: ${Object.keys(configFile.shape).join(', ')}.`,
  });
}

function usualConfigPath({ platform }: Host, env: Settings['env']): string | null {
  const home = env['HOME'] ?? env['USERPROFILE'];
  const base =
    env['XDG_CONFIG_HOME'] ||
    (platform === 'win32'
      ? env['APPDATA']
      : home === undefined || home === ''
        ? undefined
        : join(home, '.config'));
  return base === undefined || base === '' ? null : join(base, 'lora-export', 'config.json');
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof LoraExportError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
  );
}
