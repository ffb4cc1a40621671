import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LoraExportError } from '../errors.js';
import { syncDirectory } from '../sinks/sync-directory.js';
import type { ExportRequestInput } from '../request.js';
import type { App } from './app.js';
import { checkConfig, MOST_BYTES } from './config-file.js';
import { readJsonFile } from './json-file.js';
import { presetOf, type Preset } from './presets.js';
import type { Settings } from './settings.js';

/**
 * `--save-preset`: what a command exports, under a name, in the configuration file of these settings.
 * @throws LoraExportError as `savePreset` does, and `E_USAGE` when the request is not valid
 */
export async function saveAndTell(
  { terminal }: App,
  settings: Settings,
  name: string,
  request: ExportRequestInput,
  force: boolean,
): Promise<void> {
  const path = settings.presetFile();
  const saved = await savePreset(name, presetOf(request), { path, force });
  const what = { saved: 'saved', replaced: 'replaced', unchanged: 'is already' }[saved];
  terminal.line(`Preset ${name} ${what} in ${path}.`);
}

/** What became of a preset that was to be saved. */
export type Saved = 'saved' | 'replaced' | 'unchanged';

/**
 * Writes a preset into a configuration file, which is created when there is none (0600, its directory 0700). The other
 * settings stay, and so do the file's mode and owner; a link stays a link. At every moment the old file or the new one
 * is there, whole.
 * @param path as `Settings.presetFile()` says it
 * @param force replace a preset of that name that is another one
 * @throws LoraExportError `E_USAGE` when there is another one of that name, or the file is not valid; `E_OUTPUT` when it
 *   cannot be written
 */
export async function savePreset(
  name: string,
  preset: Preset,
  { path, force }: { readonly path: string; readonly force: boolean },
): Promise<Saved> {
  const real = await realpath(path).catch(() => null);
  const file = real === null ? {} : readJsonFile(real, '--save-preset');
  checkConfig(file, path);
  const config = file as Record<string, unknown> & { readonly presets?: Record<string, unknown> };
  const presets = config.presets ?? {};
  const existing = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (isDeepStrictEqual(existing, preset)) return 'unchanged';
  if (existing !== undefined && !force) {
    throw new LoraExportError('E_USAGE', `${path} has another preset ${name} already.`, {
      hint: 'Choose another name, or replace it with --force.',
    });
  }
  const changed = { ...config, presets: { ...presets, [name]: preset } };
  checkConfig(changed, path);
  const indent = real === null ? 2 : indentOf(await readFile(real, 'utf8'));
  const text = `${JSON.stringify(changed, null, indent)}\n`;
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new LoraExportError('E_USAGE', `With the preset ${name}, ${path} would be larger than 1 MiB.`, {
      hint: 'Keep many ids in a file of their own, for --ids-file.',
    });
  }
  await replaceFile(real ?? path, text).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw new LoraExportError('E_OUTPUT', `Cannot write ${path}: the system reported ${code}.`, {
      hint: 'Name a configuration file that you can write, with --config.',
      cause: error,
    });
  });
  return existing === undefined ? 'saved' : 'replaced';
}

function indentOf(json: string): string | number {
  return /^([ \t]+)"/m.exec(json)?.[1] ?? 2;
}

/** Replaces a file whole, keeping its mode and owner; creates it (0600) and its directory (0700) where there is none. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const before = await stat(path).catch(() => null);
  const temporary = join(directory, `.${basename(path)}.${randomUUID()}`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    if (before !== null) {
      // Only root can, and only then it matters: a user must be able to read the file again.
      await handle.chown(before.uid, before.gid).catch(() => undefined);
      await handle.chmod(before.mode & 0o777);
    }
    await handle.sync();
    await handle.close();
    await rename(temporary, path);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}
