import { statSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { LoraExportError } from '../errors.js';
import { listed } from '../listed.js';
import { nearestWord } from '../nearest-word.js';
import { PRESET_NAME } from './flags.js';
import type { Host } from './host.js';
import { readJsonFile } from './json-file.js';
import { presetSchema, type Preset } from './presets.js';
import { definitionOf, settingKeys, type Scalar, type SettingKey } from './setting-definitions.js';

const NO_NAME = 'no name for a preset; it has letters, digits, dots, - and _, at most 64';

/** In the working directory; wins over the user's own file. */
export const PROJECT_FILE = 'lora-export.config.json';

/** A configuration is written by hand; what is larger is another file. */
export const MOST_BYTES = 1024 * 1024;

/** Keys of one object that get one. */
const MOST_SUGGESTIONS = 10;

/** What one configuration file says. */
export interface ConfigFile {
  readonly path: string;
  readonly settings: ReadonlyMap<SettingKey, Scalar>;
  readonly presets: ReadonlyMap<string, Preset>;
}

/** A place where a configuration file is looked for. */
export interface ConfigPlace {
  readonly path: string;
  readonly kind: 'named' | 'project' | 'user';
  /** Null where there is none. */
  readonly file: ConfigFile | null;
}

/** The object in a file that has passed `checkConfig`: settings, the alerts, the presets. */
type CheckedContent = Readonly<Record<string, Scalar | Readonly<Record<string, Scalar>> | undefined>>;

/** A setting that nobody knows is an error, not a silence. */
const configFile = fileSchema();

/**
 * The configuration files, the one that wins first: the named one alone, else the project's and the user's.
 * @param warn hears what is doubtful about a file that was read
 * @throws LoraExportError `E_USAGE` naming the file and all that is wrong with it
 */
export function readConfigFiles(
  named: string | undefined,
  host: Pick<Host, 'cwd' | 'platform' | 'uid'>,
  env: Host['env'],
  warn: (text: string) => void,
): ConfigPlace[] {
  if (named !== undefined) {
    const path = resolve(host.cwd, named);
    return [{ path, kind: 'named', file: readConfigFile(path, host, warn) }];
  }
  const user = userConfigPath(host.platform, env);
  const places = [
    { path: join(host.cwd, PROJECT_FILE), kind: 'project' as const },
    ...(user === null ? [] : [{ path: user, kind: 'user' as const }]),
  ];
  return places.map((place) => ({
    ...place,
    file: exists(place.path) ? readConfigFile(place.path, host, warn) : null,
  }));
}

/**
 * Where a preset is saved: the file that was named, else the project's if there is one, else the user's.
 * @throws LoraExportError `E_USAGE` when there is neither
 */
export function placeToSave(places: readonly ConfigPlace[]): string {
  const [first] = places;
  const place =
    first?.kind === 'named' || first?.file !== null ? first : places.find(({ kind }) => kind === 'user');
  if (place !== undefined) return place.path;
  throw new LoraExportError('E_USAGE', 'There is no configuration directory to save a preset in.', {
    hint: `Set HOME, or create ${PROJECT_FILE} with {} in it.`,
  });
}

/**
 * A checked value of a configuration file.
 * @throws LoraExportError `E_USAGE` naming the file and every problem
 */
export function checkConfig(value: unknown, path: string): void {
  const issues = configFile.safeParse(value).error?.issues ?? [];
  if (issues.length === 0) return;
  throw new LoraExportError(
    'E_USAGE',
    `${path} is not a valid configuration: ${listed(issues.flatMap(problemsOf))}.`,
    {
      hint: `Known settings: ${Object.keys(configFile.shape).join(', ')}.`,
    },
  );
}

function readConfigFile(
  path: string,
  host: Pick<Host, 'platform' | 'uid'>,
  warn: (text: string) => void,
): ConfigFile {
  const stats = statsOf(path);
  const value = readJsonFile(path, '--config', MOST_BYTES);
  checkConfig(value, path);
  const content = value as CheckedContent;
  const settings = new Map<SettingKey, Scalar>();
  for (const key of settingKeys) {
    const found = memberOf(content, key);
    if (found === undefined) continue;
    const isRelative = definitionOf(key).isPath === true && typeof found === 'string';
    settings.set(key, isRelative ? resolve(dirname(path), found) : found);
  }
  // A pipe is nobody else's.
  if (stats?.isFile() && host.platform !== 'win32') {
    for (const doubt of doubtsAbout(stats, host.uid, settings)) warn(`${path} ${doubt}`);
  }
  return {
    path,
    settings,
    presets: new Map(Object.entries((content['presets'] ?? {}) as Record<string, Preset>)),
  };
}

/** Settings say where data comes from and goes to; and one of them may hold a password. */
function* doubtsAbout(
  { mode, uid }: Stats,
  ownUid: number | null,
  settings: ReadonlyMap<SettingKey, Scalar>,
): Generator<string> {
  if ((mode & 0o002) !== 0) yield 'can be changed by every user of this machine: chmod o-w.';
  if (ownUid !== null && ownUid !== 0 && uid !== ownUid && uid !== 0) yield 'belongs to another user.';
  if ((mode & 0o044) !== 0 && hasPassword(settings.get('databaseUrl')))
    yield 'holds a password, and other users can read it: chmod 600.';
}

function hasPassword(url: unknown): boolean {
  return typeof url === 'string' && /\/\/[^/]*:[^/]*@|[?&]password=/i.test(url);
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    // Anything else is told by whoever reads it.
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

function statsOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    // Reading it says what is wrong.
    return null;
  }
}

function userConfigPath(platform: Host['platform'], env: Host['env']): string | null {
  const home = env['HOME'] || env['USERPROFILE'];
  const xdg = env['XDG_CONFIG_HOME'] ?? '';
  // The XDG specification: a relative path is invalid and to be ignored.
  const base = isAbsolute(xdg) ? xdg : platform === 'win32' ? env['APPDATA'] : home && join(home, '.config');
  return base ? join(base, 'lora-export', 'config.json') : null;
}

/** `alerts.storageBytes` is the member of a member. */
function memberOf(content: CheckedContent, key: SettingKey): Scalar | undefined {
  const [outer, inner] = key.split('.') as [string, string | undefined];
  const value = content[outer];
  return typeof value === 'object' && inner !== undefined ? value[inner] : (value as Scalar | undefined);
}

function fileSchema(): z.ZodObject<Record<string, z.ZodType>> {
  const members: Record<string, z.ZodType> = {};
  const alerts: Record<string, z.ZodType> = {};
  for (const key of settingKeys) {
    const [outer, inner] = key.split('.') as [string, string | undefined];
    if (inner === undefined) members[outer] = definitionOf(key).schema.optional();
    else alerts[inner] = definitionOf(key).schema.optional();
  }
  members['alerts'] = z.strictObject(alerts).optional();
  members['presets'] = z.record(z.string().regex(PRESET_NAME, NO_NAME), presetSchema).optional();
  return z.strictObject(members);
}

function problemsOf(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(configFile, path);
    return issue.keys.map((key, index) => {
      // A file of another program may have thousands.
      const hint = index < MOST_SUGGESTIONS ? suggestion(key, known) : '';
      return `${[...path, key].join('.')}: not known${hint}`;
    });
  }
  const problem = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [`${path.join('.') || 'the file'}: ${problem}`];
}

function suggestion(key: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const { word, distance } = nearestWord(key, known);
  return distance <= 3 ? ` (did you mean ${word}?)` : ` (known are ${known.join(', ')})`;
}

/** The keys that an object may have which stands at this place. */
function keysAt(schema: z.core.$ZodType, [next, ...rest]: readonly string[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return keysAt(schema.unwrap(), next === undefined ? [] : [next, ...rest]);
  }
  if (schema instanceof z.ZodRecord && next !== undefined) return keysAt(schema.valueType, rest);
  if (!(schema instanceof z.ZodObject)) return [];
  const inner: z.core.$ZodType | undefined = next === undefined ? undefined : schema.shape[next];
  if (next === undefined) return Object.keys(schema.shape);
  return inner === undefined ? [] : keysAt(inner, rest);
}
