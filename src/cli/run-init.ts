import { migrate, readHardening, readMigrations, readSourceSchema, rollBack } from '../db/migrate.js';
import { verifySchema, type SchemaCheck } from '../db/verify.js';
import { loadDemo } from '../demo.js';
import { LoraExportError } from '../errors.js';
import { withConnection, type App, type AppSettings, type OpenDatabase } from './app.js';
import { conversations, table } from './render.js';
import type { ConnectionFlags } from './settings.js';
import { visibleJson } from '../visible.js';

export interface InitFlags extends ConnectionFlags {
  readonly demo?: boolean;
  readonly withSource?: boolean;
  readonly hardened?: boolean;
  readonly dryRun?: boolean;
  readonly verify?: boolean;
  readonly down?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** The `init` command: apply, print, verify or drop the schema; load the demo. */
export async function runInit(app: App, flags: InitFlags): Promise<void> {
  const modes = (['dryRun', 'verify', 'down'] as const).filter((mode) => flags[mode]);
  if (modes.length > 1 || (modes.length === 1 && flags.demo)) {
    throw new LoraExportError('E_USAGE', '--dry-run, --verify, --down and --demo exclude each other.');
  }
  if (flags.hardened && (flags.verify || flags.down)) {
    throw new LoraExportError('E_USAGE', '--hardened is for applying and for --dry-run.', {
      hint: '--verify shows by itself whether the log is hardened, and --down drops it hardened or not.',
    });
  }
  // The SQL is the same for every database, so printing it needs none.
  if (flags.dryRun) return printSql(app, flags);
  const settings = await app.readSettings(flags);
  const act = flags.verify ? verify : flags.down ? drop : apply;
  await app.withDatabase(settings, (database) => act(app, flags, settings, database));
}

async function printSql({ terminal }: App, flags: InitFlags): Promise<void> {
  const files = (await readMigrations()).map(({ sql }) => sql);
  if (flags.withSource) files.unshift(await readSourceSchema());
  if (flags.hardened) files.push((await readHardening()).sql);
  terminal.data(files.join('\n'));
}

async function apply(
  app: App,
  flags: InitFlags,
  settings: AppSettings,
  database: OpenDatabase,
): Promise<void> {
  const { target, isEmbedded } = database;
  const { terminal } = app;
  if (flags.demo && !isEmbedded && !flags.force) {
    throw new LoraExportError(
      'E_USAGE',
      `${target.label} is not the embedded database: the demo would mix with real conversations.`,
      {
        hint: 'Leave DATABASE_URL and --database-url out to use the embedded database, or pass --force.',
      },
    );
  }
  await withConnection(app, database, 'init', async (sql) => {
    const withSource = isEmbedded || flags.withSource === true || flags.demo === true;
    const { applied } = await migrate(sql, {
      schema: settings.auditSchema,
      hardened: flags.hardened === true,
      ...(withSource ? { sourceSchema: settings.schema } : {}),
    });
    const loaded = flags.demo ? await loadDemo(sql, settings.schema, app.host.signal) : null;
    const hardened = applied.includes('hardened');
    if (flags.json) {
      terminal.data(`${visibleJson({ database: target.label, demo_conversations: loaded, hardened })}\n`);
    } else {
      const tables = hardened ? 'hardened audit tables' : 'audit tables';
      terminal.line(`Ready: ${target.label} has the ${tables} in schema ${settings.auditSchema}.`);
      if (loaded !== null) {
        terminal.line(
          `Loaded ${conversations(loaded)} of the demo. Next: lora-export export --format jsonl --scope approved`,
        );
      }
    }
  });
}

async function drop(
  app: App,
  flags: InitFlags,
  { auditSchema }: AppSettings,
  database: OpenDatabase,
): Promise<void> {
  await withConnection(app, database, 'init', async (sql) => {
    const { dropped, rows } = await rollBack(sql, {
      schema: auditSchema,
      force: flags.force === true,
    });
    if (flags.json) app.terminal.data(`${visibleJson({ dropped, rows })}\n`);
    else if (dropped.length === 0) app.terminal.line('There were no audit tables to drop.');
    else
      app.terminal.line(
        `Dropped ${dropped.join(', ')} with ${rows} recorded exports. Source tables were left alone.`,
      );
  });
}

async function verify(
  app: App,
  flags: InitFlags,
  { auditSchema }: AppSettings,
  database: OpenDatabase,
): Promise<void> {
  const checks = await withConnection(app, database, 'init', (sql) =>
    verifySchema(sql, { schema: auditSchema }),
  );
  app.terminal.data(flags.json ? `${visibleJson(checks)}\n` : checksTable(checks));
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  throw new LoraExportError(
    'E_SCHEMA',
    `${failed.length} of ${checks.length} checks failed in schema ${auditSchema}.`,
    {
      hint: 'Run `lora-export init` to create what is missing; what differs in shape has to be changed by hand.',
    },
  );
}

function checksTable(checks: readonly SchemaCheck[]): string {
  return table(
    ['', 'what', 'name', 'expected', 'found'],
    checks.map(({ ok, group, name, expected, found }) => [
      ok ? 'pass' : 'FAIL',
      group,
      name,
      expected,
      ok && found === expected ? '' : found,
    ]),
  );
}
