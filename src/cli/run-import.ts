import { importConversations, type ImportResult } from '../import.js';
import { withConnection, type App } from './app.js';
import { inputFiles } from './input-file.js';
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
  const inputs = await inputFiles(files, host);
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

function importSummary({ name, lines, inserted, updated, unchanged, turns, notes }: ImportResult): string {
  return [
    `${name}: ${conversations(lines)} (${turns} turns): ${inserted} new, ${updated} changed, ${unchanged} unchanged.`,
    ...Object.entries(notes).map(([note, count]) => `  ${count} × ${note}`),
  ].join('\n');
}
