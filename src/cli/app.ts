import { join } from 'node:path';
import type { Command } from 'commander';
import type postgres from 'postgres';
import { once, text, uuid } from './flags.js';
import type { EmbeddedServer } from '../embedded/server.js';
import type { Access } from '../db/access.js';
import type { DatabaseTarget } from '../db/target.js';
import type { Host } from './host.js';
import type { ConnectionFlags, Setting, Settings } from './settings.js';
import type { Terminal } from './terminal.js';

/** A database to work on, and whether it is the embedded one. */
export interface OpenDatabase {
  readonly target: DatabaseTarget;
  readonly isEmbedded: boolean;
}

export interface AppSettings extends Settings {
  /** Where the embedded database and, unless set otherwise, managed exports live. */
  readonly stateDirectory: string;
  readonly exportDirectory: string;
}

/** What commands are handed: the outside world, and the database that the settings name. */
export class App {
  readonly host: Host;
  readonly terminal: Terminal;
  /** The words of the command line, for what the parser does not tell. */
  readonly argv: readonly string[];

  constructor(host: Host, terminal: Terminal, argv: readonly string[]) {
    this.host = host;
    this.terminal = terminal;
    this.argv = argv;
  }

  /** The flags that say which database and on whose behalf. */
  addConnectionFlags(command: Command): Command {
    return command
      .option(
        '--database-url <url>',
        'database to use; default: LORA_EXPORT_DATABASE_URL, DATABASE_URL, the configuration file, the embedded database',
        once(text),
      )
      .option(
        '--schema <name>',
        'schema of conversations and conversation_turns; default: public',
        once(text),
      )
      .option('--audit-schema <name>', 'schema of export_logs and export_runs; default: public', once(text))
      .option('--user <uuid>', 'whom the audit log names; default: LORA_EXPORT_USER_ID', once(uuid))
      .option(
        '--config <file>',
        'configuration file; default: lora-export.config.json here, then lora-export/config.json in the configuration directory',
        once(text),
      )
      .option('--dotenv <file>', 'read environment variables from a file; those already set win', once(text))
      .option('--debug', 'print causes and stack traces');
  }

  /** The same, for commands that work on what is recorded: they may be meant for everybody's exports. */
  addAccessFlags(command: Command): Command {
    return this.addConnectionFlags(command).option(
      '--all-users',
      "everybody's exports, for a role that row level security does not bind",
    );
  }

  /**
   * The settings below typed flags, and where managed exports live. Read before anything is started.
   * @throws LoraExportError `E_USAGE` naming the file, variable or flag that is wrong
   */
  async readSettings(flags: ConnectionFlags): Promise<AppSettings> {
    const { readSettings } = await import('./settings.js');
    const { defaultStateDirectory } = await import('../embedded/default-state-directory.js');
    const settings = readSettings(flags, this.host, (text) => this.terminal.line(`warning: ${text}`));
    const stateDirectory = defaultStateDirectory(settings.env, this.host.uid ?? -1, this.host.platform);
    return {
      ...settings,
      stateDirectory,
      exportDirectory: settings.directory ?? join(stateDirectory, 'exports'),
    };
  }

  /**
   * Runs `use` on the database that flags, environment and configuration name, in this order; without any, on the
   * embedded server, which is started when needed and stopped when nobody uses it any more.
   */
  async withDatabase<T>(settings: AppSettings, use: (database: OpenDatabase) => Promise<T>): Promise<T> {
    if (settings.databaseUrl !== null) {
      return use({ target: await this.#parseUrl(settings, settings.databaseUrl), isEmbedded: false });
    }
    const server = await this.#startEmbedded(settings);
    try {
      return await use({ target: await targetOf(server), isEmbedded: true });
    } finally {
      await server.release();
    }
  }

  async #parseUrl({ env }: AppSettings, { value, origin }: Setting<string>): Promise<DatabaseTarget> {
    const { parseDatabaseUrl } = await import('../db/target.js');
    const target = parseDatabaseUrl(value, origin, { ...env });
    if (origin === '--database-url' && target.password !== null && env['PGPASSWORD'] !== target.password) {
      this.terminal.line(
        'warning: a password on the command line can be seen by every user of this machine; use DATABASE_URL or PGPASSWORD.',
      );
    }
    if (target.ignoredParameters.length > 0) {
      this.terminal.line(
        `note: ${origin} has parameters without meaning here, ignored: ${target.ignoredParameters.join(', ')}.`,
      );
    }
    return target;
  }

  async #startEmbedded({ stateDirectory, env }: AppSettings): Promise<EmbeddedServer> {
    const { startEmbedded } = await import('../embedded/server.js');
    await this.terminal.status('Starting the embedded database');
    const server = await startEmbedded({
      stateDirectory,
      path: env['PATH'],
      log: (line) => this.terminal.line(line),
      signal: this.host.signal,
    });
    this.terminal.clearStatus();
    this.terminal.line('Using the embedded database; DATABASE_URL or --database-url names your own.');
    return server;
  }
}

async function targetOf({ socketDirectory, port, user, database }: EmbeddedServer): Promise<DatabaseTarget> {
  const { parseDatabaseUrl } = await import('../db/target.js');
  const query = new URLSearchParams({ host: socketDirectory, port: String(port), user });
  return {
    ...parseDatabaseUrl(`postgresql:///${database}?${query.toString()}`, 'the embedded database'),
    label: `embedded/${database}`,
  };
}

/**
 * Runs `use` on the audit tables of the database that the settings name, on behalf of the user that they name.
 * @throws LoraExportError as `openAccess` does
 */
export async function withAccess<T>(
  app: App,
  settings: AppSettings,
  purpose: string,
  use: (access: Access, database: OpenDatabase) => Promise<T>,
): Promise<T> {
  const { openAccess } = await import('../db/access.js');
  return app.withDatabase(settings, async (database) => {
    const { auditSchema, userId, allUsers } = settings;
    const access = await openAccess(database.target, {
      purpose,
      auditSchema,
      userId: userId?.value,
      allUsers,
      signal: app.host.signal,
      onNotice: (text) => app.terminal.line(`note: ${text}`),
    });
    try {
      return await use(access, database);
    } finally {
      await access.login.close();
    }
  });
}

/** Runs `use` on one connection; what the driver throws is told in our words. */
export async function withConnection<T>(
  { host, terminal }: App,
  { target }: OpenDatabase,
  purpose: string,
  use: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const { connect } = await import('../db/connect.js');
  const { translateDatabaseError } = await import('../db/driver-errors.js');
  const connection = await connect(target, {
    purpose,
    singleSession: true,
    signal: host.signal,
    onNotice: (text) => terminal.line(`note: ${text}`),
  });
  try {
    return await use(connection.sql);
  } catch (error) {
    throw translateDatabaseError(error, target);
  } finally {
    await connection.close();
  }
}
