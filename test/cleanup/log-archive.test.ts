import { createHash, randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { verifyArchive, writeArchive } from '../../src/cleanup/archive-file.js';
import type { OldLog } from '../../src/db/old-logs.js';
import {
  cleanUpLogs,
  DELETIONS_FILE,
  type LogCleanupOptions,
  type LogCleanupResult,
} from '../../src/cleanup/log-archive.js';
import { withAccess } from '../support/access.js';
import { addUser, applyAuthShim, applyMigrations } from '../support/audit.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { failureOf } from '../support/export.js';
import { modeOf } from '../support/sinks.js';
import { addStored, makeManagedRoot } from '../support/stored.js';

let database: TestDatabase;
let parent: string;
let root: string;
let archives: string;

beforeEach(async () => {
  database = await createDatabase('ready');
  ({ parent, root } = await makeManagedRoot());
  archives = join(parent, 'archive');
});
afterEach(async () => {
  await database.drop();
  await rm(parent, { recursive: true, force: true });
});

/** Without a user: everybody's. */
function cleanUp(options: Partial<LogCleanupOptions> & { userId?: string } = {}): Promise<LogCleanupResult> {
  const { userId, ...rest } = options;
  return withAccess(database, userId, (access) =>
    cleanUpLogs(access, { olderThanDays: 30, archiveDirectory: archives, database: 'test', ...rest }),
  );
}

/** A failed export of 40 days ago: the plainest row that may go. */
const addOld = (options: Parameters<typeof addStored>[2] = {}): Promise<string> =>
  addStored(database.sql, root, {
    status: 'failed',
    age: 40,
    storageKey: null,
    expiresIn: null,
    file: null,
    ...options,
  });

async function remaining(): Promise<string[]> {
  const rows = await database.sql<
    { export_id: string }[]
  >`select export_id from export_logs order by export_id`;
  return rows.map(({ export_id: id }) => id);
}

const whole = () => database.sql`
  select to_jsonb(l)::text as log, to_jsonb(r)::text as run
  from export_logs l left join export_runs r using (export_id) order by export_id`;

async function deletions(): Promise<Record<string, unknown>[]> {
  const text = await readFile(join(archives, DELETIONS_FILE), 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('cleanup of the log', () => {
  it('deletes what is old and owns no file, and keeps the rest', async () => {
    const ofTheUser = { kind: 'file', directory: parent, name: 'own.jsonl' };
    const removed = new Date();
    const gone = [
      await addOld(),
      await addOld({ storageKey: 'k', fileDeletedAt: removed }),
      await addOld({ status: 'expired', storageKey: 'k', fileDeletedAt: removed, expiresIn: -900 }),
      await addOld({ status: 'completed', output: ofTheUser }),
      await addOld({ status: 'completed', output: { kind: 'stream' } }),
    ];
    const kept = [
      await addOld({ age: 29 }),
      await addOld({ storageKey: 'k' }),
      await addOld({ status: 'expired', storageKey: 'k', expiresIn: -900 }),
      await addOld({ status: 'completed', storageKey: 'k', expiresIn: 5 }),
      // Rows that a user has changed to get rid of them.
      await addOld({ status: 'completed', storageKey: null, expiresIn: -900 }),
      await addOld({ status: 'expired', storageKey: null, expiresIn: -900 }),
      await addOld({ status: 'completed', storageKey: null, expiresIn: null }),
    ];
    const [open] = [await addOld({ status: 'processing' })];
    await database.sql`update export_runs set heartbeat_at = now() where export_id = ${open}`;

    expect(await cleanUp({ dryRun: true })).toMatchObject({ deleted: 5, kept: 7, archive: null });
    expect(await remaining()).toHaveLength(13);
    expect(await readdir(parent)).toEqual(['exports']);

    expect(await cleanUp()).toMatchObject({ deleted: 5, kept: 7 });
    expect(await remaining()).toEqual([...kept, open].sort());
    const runs = await database.sql`select from export_runs where export_id = any(${gone})`;
    expect(runs).toHaveLength(0);
  });

  it('archives every column, for this user alone, with a checksum that others can check', async () => {
    const ids = [await addOld(), await addOld(), await addOld()].sort();
    const before = await whole();

    const { archive } = await cleanUp();

    const path = archive?.path ?? '';
    expect(basename(path)).toMatch(/^export-logs-\d{8}T\d{9}Z-3\.jsonl\.gz$/);
    expect([await modeOf(archives), await modeOf(path), await modeOf(`${path}.sha256`)]).toEqual([
      '700',
      '600',
      '600',
    ]);
    const bytes = await readFile(path);
    expect(archive).toMatchObject({
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    const check = execFileSync('sha256sum', ['--check', `${basename(path)}.sha256`], { cwd: archives });
    expect(check.toString()).toContain('OK');
    const lines = gunzipSync(bytes).toString().split('\n').slice(0, -1);
    expect(lines).toEqual(before.map(({ log, run }) => `{"export_logs":${log},"export_runs":${run}}`));
    expect(
      lines.map((line) => (JSON.parse(line) as { export_logs: { export_id: string } }).export_logs.export_id),
    ).toEqual(ids);
    expect((await readdir(archives)).sort()).toEqual(
      [DELETIONS_FILE, basename(path), `${basename(path)}.sha256`].sort(),
    );
  });

  it('archives so that the rows can be put back as they were', async () => {
    const { sql } = database;
    await addOld();
    await addOld({ status: 'expired', storageKey: 'k', fileDeletedAt: new Date(), expiresIn: -900 });
    const lonely = await addOld();
    await sql`delete from export_runs where export_id = ${lonely}`;
    const before = await whole();
    const { archive } = await cleanUp();
    expect(await remaining()).toEqual([]);

    const lines = gunzipSync(await readFile(archive?.path ?? ''))
      .toString()
      .trimEnd()
      .split('\n');
    await sql.begin(async (tx) => {
      for (const line of lines) {
        await tx`insert into export_logs select (jsonb_populate_record(null::export_logs, ${line}::text::jsonb -> 'export_logs')).*`;
        await tx`insert into export_runs select r.* from jsonb_populate_record(null::export_runs,
          nullif(${line}::text::jsonb -> 'export_runs', 'null')) r where r.export_id is not null`;
      }
    });
    expect(await whole()).toEqual(before);
  });

  it.runIf(hasPsql())('archives so that psql puts the rows back as docs/operations.md says', async () => {
    await addOld();
    await database.sql`delete from export_runs where export_id = ${await addOld()}`;
    const before = await whole();
    const { archive } = await cleanUp();

    const docs = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const [, statements = ''] = /<<'SQL'\n([\s\S]*?)\nSQL\n/.exec(docs) ?? [];
    await writeFile(join(parent, 'rows.jsonl'), gunzipSync(await readFile(archive?.path ?? '')));
    execFileSync('psql', [database.url, '-1', '-q', '-v', 'ON_ERROR_STOP=1'], {
      cwd: parent,
      input: statements,
    });
    expect(await whole()).toEqual(before);
  });

  it('records the deletion beside the archive, before and after', async () => {
    await addOld();
    const { archive } = await cleanUp();
    const expected = {
      database: 'test',
      audit_schema: 'public',
      user_id: null,
      older_than_days: 30,
      rows: 1,
      archive: basename(archive?.path ?? ''),
      sha256: archive?.sha256,
    };
    expect(await deletions()).toEqual([
      expect.objectContaining({ event: 'deleting', ...expected }),
      expect.objectContaining({ event: 'deleted', ...expected }),
    ]);
    expect(await modeOf(archives, DELETIONS_FILE)).toBe('600');
  });

  it('writes nothing when there is nothing to delete', async () => {
    await addOld({ age: 1 });
    expect(await cleanUp()).toMatchObject({ deleted: 0, kept: 0, archive: null });
    expect(await readdir(parent)).toEqual(['exports']);
  });

  it('goes through more rows than fit into one batch, twice at once without losing any', async () => {
    for (let n = 0; n < 450; n++) await addOld();
    const outcomes = await Promise.allSettled([cleanUp(), cleanUp()]);
    const deleted = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.deleted : 0));
    expect(deleted.reduce((sum, count) => sum + count)).toBe(450);
    expect(await remaining()).toEqual([]);
    const confirmed = (await deletions()).filter(({ event }) => event === 'deleted');
    expect(confirmed.map(({ rows }) => rows)).toEqual([450]);
  });

  it('of a user leaves the rows of others', async () => {
    const [alice, bob] = [randomUUID(), randomUUID()];
    await addOld({ userId: alice });
    const his = await addOld({ userId: bob });
    expect(await cleanUp({ userId: alice })).toMatchObject({ deleted: 1 });
    expect(await remaining()).toEqual([his]);
  });

  it.each([-1, 0.999])('counts age by the clock of the server: %d days around the limit', async (days) => {
    const id = await addOld({ age: 0 });
    await database.sql`alter table export_logs disable trigger user`;
    await database.sql`
      update export_logs set created_at = now() - interval '31 days' + ${days}::float8 * interval '1 day' - interval '1 minute'`;
    expect((await cleanUp({ olderThanDays: 31 })).deleted).toBe(days < 0 ? 1 : 0);
    expect(await remaining()).toEqual(days < 0 ? [] : [id]);
  });
});

describe('a failing archive deletes nothing', () => {
  let ids: string[];
  beforeEach(async () => {
    ids = [await addOld(), await addOld()].sort();
  });
  afterEach(async () => {
    expect(await remaining()).toEqual(ids);
  });

  it('when its directory cannot be made', async () => {
    await writeFile(archives, 'a file');
    await failureOf(cleanUp(), 'E_OUTPUT');
    await rm(archives);
    await symlink('/proc', archives);
    await failureOf(cleanUp(), 'E_OUTPUT');
    expect(await deletions()).toEqual([]);
  });

  it.runIf(canMount())('when the disk is full', async () => {
    // Random text, so that compression does not make it fit.
    const noise = Array.from({ length: 40 }, () => randomUUID()).join();
    for (let n = 0; n < 100; n++) {
      const id = await addOld();
      await database.sql`update export_logs set error_message = ${noise + String(n)} || gen_random_uuid() || repeat(md5(random()::text), 40) where export_id = ${id}`;
      ids.push(id);
    }
    ids.sort();
    await mkdir(archives);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', archives]);
    try {
      const { message } = await failureOf(cleanUp(), 'E_OUTPUT');
      expect(message).toContain('no space left');
      expect(await readdir(archives)).toEqual([]);
    } finally {
      execFileSync('umount', [archives]);
    }
  });

  it('when its checksum cannot be written, and then does not stay either', async () => {
    const taken = async (): Promise<OldLog[]> => {
      const line = '{"export_logs":{"export_id":"x"},"export_runs":null}';
      const fingerprint = createHash('sha256').update(line).digest('hex');
      return Promise.resolve([{ exportId: 'x', line, fingerprint }]);
    };
    await mkdir(join(archives, 'export-logs-20250101T000000000Z-1.jsonl.gz.sha256'), { recursive: true });
    const rows = (async function* () {
      yield* await taken();
    })();
    await failureOf(writeArchive(archives, '2025-01-01T00:00:00.000Z', rows), 'E_OUTPUT_EXISTS');
    expect(await readdir(archives)).toEqual(['export-logs-20250101T000000000Z-1.jsonl.gz.sha256']);
  });

  it.each<[what: string, spoil: (path: string) => void]>([
    ['is cut off', (path) => truncateSync(path, 60)],
    ['has another byte', flip],
    ['has a byte more', (path) => appendFileSync(path, '\0')],
    ['is gone', (path) => rmSync(path)],
    ['lacks its last row', (path) => rewrite(path, (lines) => lines.slice(0, -1))],
    ['has a row twice', (path) => rewrite(path, (lines) => [...lines, lines[0] as string])],
    ['has rows in another order', (path) => rewrite(path, (lines) => lines.toReversed())],
    [
      'has another value in a row',
      (path) => rewrite(path, (lines) => lines.map((line) => line.replace('"failed"', '"FAILED"'))),
    ],
    ['is empty', (path) => rewrite(path, () => [])],
    ['is no gzip', (path) => writeFileSync(path, 'text')],
  ])('when it %s by the time it is read back', async (_what, spoil) => {
    const outcome = cleanUp({
      onPhase(phase) {
        if (phase !== 'archived') return;
        const name = readdirSync(archives).find((name) => name.endsWith('.gz')) ?? '';
        spoil(join(archives, name));
      },
    });
    await failureOf(outcome, 'E_OUTPUT');
    expect(await deletions()).toEqual([]);
  });

  it.each(['export_logs', 'export_runs'] as const)('when a row of %s changes meanwhile', async (table) => {
    const { message, exitStatus } = await failureOf(
      interrupted(`update ${table} set updated_at = now() where export_id = '${ids[0]}'`),
      'E_AUDIT',
    );
    expect([message, exitStatus]).toEqual([expect.stringContaining('1 of 2'), 28]);
    expect(await deletions()).toEqual([expect.objectContaining({ event: 'kept', rows: 2 })]);
  });

  it('when a column that says nothing of its change does', async () => {
    await failureOf(
      interrupted(`update export_logs set config = '{"other":1}' where export_id = '${ids[1]}'`),
      'E_AUDIT',
    );
  });

  it('when the deletion cannot be recorded', async () => {
    await mkdir(join(archives, DELETIONS_FILE), { recursive: true });
    await failureOf(cleanUp(), 'E_OUTPUT');
  });

  it('when a trigger of somebody holds on to a row', async () => {
    await database.sql.unsafe(`
      create function hold() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger hold before delete on export_logs for each row execute function hold()`);
    await failureOf(cleanUp(), 'E_AUDIT');
  });

  it('when the database refuses at the last moment', async () => {
    await database.sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
      create constraint trigger refuse after delete on export_logs deferrable initially deferred
        for each row execute function refuse()`);
    await expect(cleanUp()).rejects.toThrow();
    // It was announced; whoever reads this looks whether the rows are there.
    expect((await deletions()).map(({ event }) => event)).toEqual(['deleting']);
  });

  /** With a change between the archive and the deletion. */
  function interrupted(statement: string): Promise<LogCleanupResult> {
    return cleanUp({
      onPhase(phase) {
        if (phase === 'verified') changeAtOnce(statement);
      },
    });
  }
});

/** Changes a row before it returns, which a statement of this process could not. */
function changeAtOnce(statement: string): void {
  const { username, pathname, searchParams } = new URL(database.url);
  const script = `
    import postgres from 'postgres';
    const [host, user, database, statement] = process.argv.slice(1);
    const sql = postgres({ host, user, database, max: 1 });
    await sql.unsafe(statement);
    await sql.end();`;
  const words = [searchParams.get('host') ?? '', username, pathname.slice(1), statement];
  execFileSync(process.execPath, ['--input-type=module', '-e', script, ...words]);
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[40] = (bytes[40] as number) ^ 0x10;
  writeFileSync(path, bytes);
}

function rewrite(path: string, change: (lines: string[]) => string[]): void {
  const lines = gunzipSync(readFileSync(path)).toString().split('\n').slice(0, -1);
  writeFileSync(
    path,
    gzipSync(
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    ),
  );
}

function hasPsql(): boolean {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: putting archived rows back as the documents say needs psql.\n');
    return false;
  }
}

function canMount(): boolean {
  try {
    execFileSync('sh', ['-c', 'd=$(mktemp -d) && mount -t tmpfs none "$d" && umount "$d" && rmdir "$d"'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    process.stderr.write('SKIPPED: filling a disk needs the right to mount.\n');
    return false;
  }
}

describe('on a database with users', () => {
  it('needs a login that sees every row and may delete', async () => {
    await using shared = await createDatabase('empty');
    await applyAuthShim(shared.sql);
    await applyMigrations(shared.sql);
    const alice = await addUser(shared.sql);
    const options = { status: 'failed', age: 40, storageKey: null, expiresIn: null, file: null } as const;
    const id = await addStored(shared.sql, root, { ...options, userId: alice });
    const role = `login_${randomUUID().slice(0, 8)}`;
    await shared.sql.unsafe(
      `create role ${role} login; grant authenticated to ${role}; grant usage on schema auth to ${role}`,
    );
    const url = shared.url.replace(/\/\/[^@]*@/, `//${role}@`);
    const clean = (target: { url: string }): Promise<LogCleanupResult> =>
      withAccess(target, alice, (access) =>
        cleanUpLogs(access, { olderThanDays: 30, archiveDirectory: archives, database: 'test' }),
      );
    try {
      const { exitStatus } = await failureOf(clean({ url }), 'E_DB_ACCESS');
      expect(exitStatus).toBe(21);
      expect(await readdir(parent)).toEqual(['exports']);
      expect(await shared.sql`select export_id from export_logs`).toEqual([{ export_id: id }]);
      expect(await clean(shared)).toMatchObject({ deleted: 1 });
    } finally {
      await shared.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

it('is verified against what the server said, line by line', async () => {
  const lines = ['a', 'ä\u2028b', 'c'].map((text) =>
    JSON.stringify({ export_logs: { export_id: text }, export_runs: null }),
  );
  const rows = lines.map((line, index) => ({
    exportId: ['a', 'ä\u2028b', 'c'][index] as string,
    line,
    fingerprint: createHash('sha256').update(line).digest('hex'),
  }));
  const stream = (async function* () {
    yield* await Promise.resolve(rows);
  })();
  const archive = await writeArchive(archives, '2025-01-01T00:00:00.000Z', stream);
  if (archive === null) throw new Error('nothing was written');
  await verifyArchive(archive);
  const [first, ...rest] = archive.logs;
  if (first === undefined) throw new Error('no row was remembered');
  await failureOf(verifyArchive({ ...archive, logs: rest }), 'E_OUTPUT');
  await failureOf(verifyArchive({ ...archive, logs: [...archive.logs, first] }), 'E_OUTPUT');
  await failureOf(verifyArchive({ ...archive, logs: [{ ...first, exportId: 'b' }, ...rest] }), 'E_OUTPUT');
  await failureOf(verifyArchive({ ...archive, sha256: '0'.repeat(64) }), 'E_OUTPUT');
});
