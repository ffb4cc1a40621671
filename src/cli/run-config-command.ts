import { LoraExportError } from '../errors.js';
import { parseDatabaseUrl } from '../db/target.js';
import { parseRequest } from '../request.js';
import type { App, AppSettings } from './app.js';
import { kebab } from './flags.js';
import type { Preset } from './presets.js';
import { table } from './render.js';
import { definitionOf, settingKeys, type Scalar, type SettingKey } from './setting-definitions.js';
import type { ConnectionFlags, SettledSetting } from './settings.js';
import { visibleJson } from '../visible.js';

export interface ConfigFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** The `config` command: settings and presets with their origins, secrets masked. */
export async function runConfigCommand(app: App, flags: ConfigFlags): Promise<void> {
  const settings = await app.readSettings(flags);
  if (flags.json) {
    app.terminal.data(`${visibleJson(configJson(settings))}\n`);
    return;
  }
  app.terminal.data(
    table(['setting', 'value', 'origin'], [...settingRows(settings), ...presetRows(settings)]),
  );
  for (const { path, file } of settings.places)
    app.terminal.line(`Configuration file ${path}: ${file === null ? 'there is none' : 'read'}.`);
}

/** A contract, to which members may be added. */
function configJson(settings: AppSettings): object {
  return {
    settings: settingKeys.map((key) => {
      const { means, variables = [], flag } = definitionOf(key);
      const { source, place } = settings.settled[key];
      return {
        name: key,
        value: shownValue(key, settings),
        source,
        origin: place,
        means,
        variables,
        flag: flag === undefined ? null : `--${kebab(flag)}`,
      };
    }),
    presets: [...settings.presets].map(([name, { preset, path }]) => ({ name, origin: path, preset })),
    files: settings.places.map(({ path, kind, file }) => ({ path, kind, read: file !== null })),
    state_directory: settings.stateDirectory,
    export_directory: settings.exportDirectory,
  };
}

function* settingRows(settings: AppSettings): Generator<string[]> {
  for (const key of settingKeys) {
    const value = shownValue(key, settings);
    const { otherwise = 'none' } = definitionOf(key);
    const text = value === null ? `(${otherwise})` : String(value);
    yield [key, text, settings.settled[key].place];
  }
  yield ['state directory', settings.stateDirectory, homeOrigin(settings)];
}

/** Only a variable sets it: everything else that is configured may lie in it. */
function homeOrigin({ env }: AppSettings): string {
  return (env['LORA_EXPORT_HOME'] ?? '') === '' ? 'default' : 'LORA_EXPORT_HOME';
}

function presetRows({ presets }: AppSettings): string[][] {
  return [...presets].map(([name, { preset, path }]) => [`preset ${name}`, inShort(preset), path]);
}

function inShort({ scope, target, format, filters = {} }: Preset): string {
  const narrowed = Object.keys(filters).length > 0 ? `, by ${Object.keys(filters).join(' ')}` : '';
  return `${scope ?? 'usual scope'}, ${target ?? format ?? 'usual format'}${narrowed}`;
}

/** Some settings have their default where they are used. */
function unsetValue(key: SettingKey, { exportDirectory }: AppSettings): Scalar | null {
  if (key === 'directory') return exportDirectory;
  return key === 'format' || key === 'scope' || key === 'retentionHours' ? parseRequest({})[key] : null;
}

function shownValue(key: SettingKey, settings: AppSettings): Scalar | null {
  const { value, place }: SettledSetting = settings.settled[key];
  if (value === null) return unsetValue(key, settings);
  if (!definitionOf(key).isSecret) return value;
  try {
    return parseDatabaseUrl(String(value), place, { ...settings.env }).label;
  } catch (error) {
    // Its message never quotes the URL.
    if (error instanceof LoraExportError) return `(not usable: ${error.message})`;
    throw error;
  }
}
