import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LoraExportError } from '../errors.js';
import { importConversations, type ImportInput, type ImportResult } from '../import.js';
import { withConnection, type App } from './app.js';
import { conversations } from './render.js';
import type { ConnectionFlags } from './settings.js';
import { visibleJson } from '../visible.js';

export interface ImportFlags extends ConnectionFlags {
  readonly status?: string;
  readonly json?: boolean;
}

/** The `import` command: each file in a transaction of its own, in the order given. */
export async function runImport(app: App, files: readonly string[], flags: ImportFlags): Promise<void> {
  const { host, terminal } = app;
  const inputs = await Promise.all(files.map((file) => inputOf(app, file)));
  const settings = await app.readSettings(flags);
  await app.withDatabase(settings, (database) =>
    withConnection(app, database, 'import', async (sql) => {
      const { schema, userId } = settings;
      for (const input of inputs) {
        const result = await importConversations(
          sql,
          input,
          {
            schema,
            createdBy: userId?.value ?? null,
            ...(flags.status === undefined ? {} : { status: flags.status }),
          },
          {
            signal: host.signal,
            onProgress: (lines) => void terminal.status(`${input.name}: ${lines} lines`),
          },
        );
        terminal.clearStatus();
        if (flags.json) terminal.data(`${visibleJson(result)}\n`);
        else terminal.line(importSummary(result));
      }
    }),
  );
}

async function inputOf({ host }: App, file: string): Promise<ImportInput> {
  if (file === '-') return { name: 'standard input', open: () => host.stdin };
  const path = resolve(host.cwd, file);
  // Before any work: the third of three files must not be found missing after two were loaded.
  await access(path).catch((error: unknown) => {
    throw new LoraExportError('E_USAGE', `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}.`, {
      hint: 'Name an existing file, or - for standard input.',
      cause: error,
    });
  });
  return { name: file, open: () => createReadStream(path) };
}

function importSummary({ name, lines, inserted, updated, unchanged, turns, notes }: ImportResult): string {
  return [
    `${name}: ${conversations(lines)} (${turns} turns): ${inserted} new, ${updated} changed, ${unchanged} unchanged.`,
    ...Object.entries(notes).map(([note, count]) => `  ${count} × ${note}`),
  ].join('\n');
}
