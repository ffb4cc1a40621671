import { randomUUID } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { abortable } from '../abortable.js';
import { openDownload, type Download } from '../download.js';
import { LoraExportError } from '../errors.js';
import { prepareFile } from '../sinks/file.js';
import type { Destination } from '../sinks/sink.js';
import { prepareStream } from '../sinks/stream.js';
import { withAccess, type App } from './app.js';
import { size } from './render.js';
import type { ConnectionFlags } from './settings.js';
import { visibleJson } from '../visible.js';

export interface DownloadFlags extends ConnectionFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Where the copy goes: a file whose name is known, or one that is named as the stored file is. */
type Place =
  | { readonly kind: 'stream' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string };

/** The `download` command: nothing is visible under the new name, or sent, before it was found to be whole. */
export async function runDownload(app: App, exportId: string, flags: DownloadFlags): Promise<void> {
  const { host, terminal } = app;
  const settings = await app.readSettings(flags);
  const place = placeOf(app, flags.output);
  const prepare = (fileName: string): Promise<Destination> => prepareCopy(app, place, fileName, flags);
  // What is wrong with a path that was typed is told before anything is asked of the database.
  const named = place.kind === 'directory' ? null : await prepare('');
  const download = await withAccess(app, settings, 'download', (access) =>
    openDownload(access, exportId, { directory: settings.exportDirectory, signal: host.signal }),
  );
  try {
    const location = await copy(app, download, named ?? (await prepare(download.fileName)));
    const isStream = place.kind === 'stream';
    const json = (): string => summaryJson(download, isStream ? null : location);
    if (flags.json !== true) terminal.line(summary(download, location));
    // The summary is data, unless standard output already carries the file itself.
    else if (isStream) terminal.line(json());
    else terminal.data(`${json()}\n`);
  } finally {
    download.stream.destroy();
  }
}

/** @returns where the copy is, in the user's terms */
async function copy({ host }: App, download: Download, destination: Destination): Promise<string> {
  const sink = await destination.open();
  try {
    for await (const chunk of download.stream) await abortable(sink.write(chunk as Buffer), host.signal);
    host.signal.throwIfAborted();
    await sink.seal();
    return (await sink.publish(download.fileName)).location;
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

function placeOf({ host, terminal }: App, output: string | undefined): Place {
  if (output === '-' || (output === undefined && !terminal.showsData)) return { kind: 'stream' };
  if (output === undefined) return { kind: 'directory', path: host.cwd };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(output)?.[1];
  if (scheme !== undefined) {
    throw new LoraExportError('E_USAGE', `--output ${scheme}:// is not supported.`, {
      hint: 'Name a file, a directory/ or - for standard output.',
    });
  }
  const path = resolve(host.cwd, output);
  return { kind: output.endsWith('/') || isDirectory(path) ? 'directory' : 'file', path };
}

function prepareCopy(
  { host }: App,
  place: Place,
  fileName: string,
  { force = false }: DownloadFlags,
): Promise<Destination> {
  // Not the id of the export, which names the temporary file: two copies may be made at once.
  const context = { exportId: randomUUID(), force, stream: host.stdout };
  switch (place.kind) {
    case 'stream':
      return Promise.resolve(prepareStream(context));
    case 'file':
      return prepareFile(place.path, context);
    case 'directory':
      return prepareFile(join(place.path, fileName), context);
  }
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function summary(download: Download, location: string): string {
  return [
    `Downloaded export ${download.exportId}: ${size(download.size)}, as it was written.`,
    `  to       ${location}`,
    `  sha256   ${download.sha256}`,
  ].join('\n');
}

/** A contract, to which members may be added. */
function summaryJson(
  { exportId, fileName, mediaType, size: bytes, sha256 }: Download,
  file: string | null,
): string {
  return visibleJson({
    export_id: exportId,
    file,
    name: fileName,
    media_type: mediaType,
    size: bytes,
    sha256,
  });
}
