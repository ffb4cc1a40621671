import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { cleanUpFiles, type CleanupOptions, type CleanupResult, type FileOutcome } from '../src/cleanup.js';
import { partialName } from '../src/sinks/file.js';
import { openManagedDirectory } from '../src/sinks/managed-directory.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, auditRows, failureOf, HOST, runExport } from './support/export.js';
import { filesIn } from './support/sinks.js';
import { addStored, makeManagedRoot, STORED_BYTES, STORED_NAME } from './support/stored.js';

let database: TestDatabase;
let parent: string;
let root: string;

beforeEach(async () => {
  database = await createDatabase('ready');
  ({ parent, root } = await makeManagedRoot());
});
afterEach(async () => {
  await database.drop();
  await rm(parent, { recursive: true, force: true });
});

/** Without a user: everybody's. */
async function cleanUp(
  options: Partial<CleanupOptions> & { userId?: string } = {},
): Promise<CleanupResult & { files: FileOutcome[] }> {
  const files: FileOutcome[] = [];
  const result = await withAccess(database, options.userId, async (access) =>
    cleanUpFiles(access, {
      directory: await openManagedDirectory(root),
      onFile: (file) => files.push(file),
      ...options,
    }),
  );
  return { ...result, files };
}

async function stateOf(exportId: string): Promise<{ status: unknown; isDeleted: boolean }> {
  const rows = await auditRows(database.sql, exportId);
  return { status: rows?.log['status'], isDeleted: rows?.run['file_deleted_at'] !== null };
}

const hasFile = (exportId: string): boolean => existsSync(join(root, exportId, STORED_NAME));

const NOTHING = { examined: 0, expired: 0, deleted: 0, missing: 0, elsewhere: 0, failed: 0, bytes: 0 };

describe('cleanup of files', () => {
  it('removes what has expired by the clock of the server, records it, and leaves the rest', async () => {
    const { sql } = database;
    const due = [await addStored(sql, root), await addStored(sql, root, { expiresIn: -0.001 })];
    const fresh = await addStored(sql, root, { expiresIn: 0.01 });
    const eternal = await addStored(sql, root, { expiresIn: null });
    const open = await addStored(sql, root, { status: 'processing' });
    // Whatever is done about a dead run is another matter.
    await sql`update export_runs set heartbeat_at = now() where export_id = ${open}`;

    const result = await cleanUp();

    expect(result).toMatchObject({
      ...NOTHING,
      examined: 2,
      expired: 2,
      deleted: 2,
      bytes: 2 * STORED_BYTES.length,
      orphans: { count: 0 },
    });
    for (const id of due) {
      expect(await stateOf(id)).toEqual({ status: 'expired', isDeleted: true });
      expect(existsSync(join(root, id))).toBe(false);
    }
    for (const [id, status] of [
      [fresh, 'completed'],
      [eternal, 'completed'],
      [open, 'processing'],
    ] as const) {
      expect(await stateOf(id)).toEqual({ status, isDeleted: false });
      expect(hasFile(id)).toBe(true);
    }
    expect(await cleanUp()).toMatchObject(NOTHING);
  });

  it.each([-30, 30])('does not mind a clock of ours that is %d hours off', async (hours) => {
    const due = await addStored(database.sql, root, { expiresIn: -1 });
    const fresh = await addStored(database.sql, root, { expiresIn: 1 });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * 3_600_000 });
    try {
      expect(await cleanUp()).toMatchObject({ expired: 1, deleted: 1 });
    } finally {
      vi.useRealTimers();
    }
    expect([due, fresh].map(hasFile)).toEqual([false, true]);
  });

  it.each([{ gzip: true }, { format: 'markdown' as const }])(
    'removes the file of a real export: %j',
    async (how) => {
      await addConversation(database.sql, { conversation_id: 'a', tier: 'edge_case' });
      const { result } = await runExport(database, {
        ...how,
        output: { kind: 'managed', directory: root },
      });
      await database.sql`update export_logs set expires_at = now() - interval '1 second'`;
      expect(await cleanUp({ host: HOST })).toMatchObject({ deleted: 1, failed: 0, bytes: result.size });
      expect(await filesIn(root)).toEqual(['.lora-export-directory']);
    },
  );

  it('only shows in a dry run', async () => {
    const due = await addStored(database.sql, root);
    const claimed = await addStored(database.sql, root, { status: 'expired' });
    const missing = await addStored(database.sql, root, { file: null });
    const dead = await addStored(database.sql, root, { status: 'processing', file: null });
    const before = await database.sql`select * from export_logs join export_runs using (export_id)`;
    const files = await filesIn(root);

    const result = await cleanUp({ dryRun: true });

    expect(result).toMatchObject({ dryRun: true, expired: 2, examined: 3, deleted: 2, missing: 1 });
    expect(result.files.map(({ exportId }) => exportId)).toEqual([due, claimed, missing].sort());
    expect(await database.sql`select * from export_logs join export_runs using (export_id)`).toEqual(before);
    expect(await filesIn(root)).toEqual(files);
    expect((await stateOf(dead)).status).toBe('processing');
  });

  it('goes through more rows than fit into one batch', async () => {
    for (let n = 0; n < 230; n++) await addStored(database.sql, root, { file: n % 50 === 0 ? 'x' : null });
    expect(await cleanUp()).toMatchObject({
      examined: 230,
      expired: 230,
      deleted: 5,
      missing: 225,
      bytes: 5,
    });
    expect(await database.sql`select from export_runs where file_deleted_at is null`).toHaveLength(0);
  });

  it('closes dead runs first', async () => {
    const dead = await addStored(database.sql, root, { status: 'processing', file: null });
    const { recovery } = await cleanUp();
    expect(recovery?.failed).toEqual([dead]);
  });

  it('does not stop at a file that cannot be removed, and tries it again next time', async () => {
    const [first, bad, last] = [randomUUID(), randomUUID(), randomUUID()].sort() as [string, string, string];
    await addStored(database.sql, root, { exportId: first });
    await addStored(database.sql, root, { exportId: bad, file: null });
    await mkdir(join(root, bad, STORED_NAME), { recursive: true });
    await addStored(database.sql, root, { exportId: last });

    const result = await cleanUp();
    expect(result).toMatchObject({ examined: 3, expired: 3, deleted: 2, failed: 1 });
    expect(result.files[1]).toMatchObject({
      outcome: 'failed',
      exportId: bad,
      reason: expect.stringContaining('not a regular file') as string,
    });
    expect(await stateOf(bad)).toEqual({ status: 'expired', isDeleted: false });

    await rm(join(root, bad, STORED_NAME), { recursive: true });
    await writeFile(join(root, bad, STORED_NAME), 'abc');
    expect(await cleanUp()).toMatchObject({ examined: 1, expired: 0, deleted: 1, failed: 0, bytes: 3 });
    expect(await stateOf(bad)).toEqual({ status: 'expired', isDeleted: true });
  });

  it('goes on where a cleanup died: after the claim, and after the removal', async () => {
    const claimed = await addStored(database.sql, root, { status: 'expired' });
    const removed = await addStored(database.sql, root, { status: 'expired', file: null });
    expect(await cleanUp()).toMatchObject({ examined: 2, expired: 0, deleted: 1, missing: 1 });
    for (const id of [claimed, removed])
      expect(await stateOf(id)).toEqual({ status: 'expired', isDeleted: true });
  });

  it('leaves what another machine or another directory holds', async () => {
    const there = await addStored(database.sql, root, { host: 'another-host', file: null });
    const shared = await addStored(database.sql, root, { host: 'another-host' });
    const id = randomUUID();
    const moved = await addStored(database.sql, root, {
      exportId: id,
      file: null,
      output: { kind: 'file', managed: true, directory: join(parent, 'old', id) },
    });
    expect(await cleanUp()).toMatchObject({ expired: 3, examined: 3, deleted: 1, missing: 0, elsewhere: 2 });
    expect(await stateOf(shared)).toEqual({ status: 'expired', isDeleted: true });
    for (const id of [there, moved])
      expect(await stateOf(id)).toEqual({ status: 'expired', isDeleted: false });
  });

  it('removes what a failed run could not take back, once its process must be dead', async () => {
    const failed = await addStored(database.sql, root, { status: 'failed', expiresIn: null });
    const recent = await addStored(database.sql, root, { status: 'failed', expiresIn: null });
    await database.sql`update export_runs set heartbeat_at = now() where export_id = ${recent}`;
    await writeFile(join(root, failed, partialName(failed)), 'half');
    expect(await cleanUp()).toMatchObject({ expired: 0, examined: 1, deleted: 1 });
    expect(existsSync(join(root, failed))).toBe(false);
    expect(hasFile(recent)).toBe(true);
    expect(await stateOf(failed)).toEqual({ status: 'failed', isDeleted: true });
  });

  it('works twice at once: every file goes once, every row says so', async () => {
    for (let n = 0; n < 150; n++) await addStored(database.sql, root);
    const results = await Promise.all([cleanUp(), cleanUp(), cleanUp()]);
    const sum = (key: keyof typeof NOTHING): number =>
      results.reduce((total, result) => total + result[key], 0);
    expect(sum('expired')).toBe(150);
    expect(sum('deleted')).toBe(150);
    expect(sum('bytes')).toBe(150 * STORED_BYTES.length);
    expect(sum('failed')).toBe(0);
    expect(await database.sql`select from export_runs where file_deleted_at is null`).toHaveLength(0);
    expect(await filesIn(root)).toEqual(['.lora-export-directory']);
  });

  it('during an export touches nothing of it', async () => {
    for (let n = 0; n < 20; n++) await addConversation(database.sql, { conversation_id: `c${n}` });
    let cleanups = 0;
    let pending = Promise.resolve();
    const again = (): void => {
      cleanups++;
      pending = pending.then(async () => void (await cleanUp({ deleteOrphans: true, host: HOST })));
    };
    const { result } = await runExport(
      database,
      { output: { kind: 'managed', directory: root }, batchSize: 2 },
      { onEvent: again },
    );
    await pending;
    expect(cleanups).toBeGreaterThan(10);
    expect(await readFile(result.location)).toHaveLength(result.size);
    expect(await stateOf(result.exportId)).toEqual({ status: 'completed', isDeleted: false });
  });
});

describe('a hostile row', () => {
  it('leads cleanup to nothing outside the managed directory, and to nobody else’s file', async () => {
    const { sql } = database;
    const [mallory, alice] = [randomUUID(), randomUUID()];
    const victim = await addStored(sql, root, { userId: alice, expiresIn: 1 });
    const hers = join(root, victim, STORED_NAME);
    const outside = join(parent, 'precious.jsonl');
    const twin = `${root}-old`;
    await mkdir(join(twin, victim), { recursive: true });
    await writeFile(join(twin, victim, STORED_NAME), 'precious');
    await writeFile(outside, 'precious');
    await symlink(parent, join(root, 'out'));

    const places = [
      outside,
      pathToFileURL(outside).href,
      `file://localhost${outside}`,
      '../precious.jsonl',
      `${root}/../precious.jsonl`,
      `file://${root}/../precious.jsonl`,
      `file://${root}/%2e%2e/precious.jsonl`,
      `file://${root}/%2E%2E%2Fprecious.jsonl`,
      `${root}/out/precious.jsonl`,
      'out/precious.jsonl',
      hers,
      pathToFileURL(hers).href,
      `${victim}/${STORED_NAME}`,
      `../exports/${victim}/${STORED_NAME}`,
      join(twin, victim, STORED_NAME),
      `${twin}/${victim}/${STORED_NAME}`,
      root,
      parent,
      '/',
      '.',
      '',
      '~',
      'C:\\Windows\\win.ini',
      `${outside}\u0001\n`,
      'https://example.org/x?y=%00',
      `${'../'.repeat(1_600)}etc/passwd`,
      'x'.repeat(5_000),
      JSON.stringify({ path: outside }),
    ];
    const ids: string[] = [];
    for (const place of places) {
      const directory = place.endsWith('.jsonl') ? place.slice(0, place.lastIndexOf('/')) : place;
      const name = place.slice(place.lastIndexOf('/') + 1);
      for (const output of [
        { kind: 'file', managed: true, directory, name },
        { kind: 'file', managed: true, directory: place },
      ]) {
        ids.push(
          await addStored(sql, root, {
            userId: mallory,
            fileUrl: place,
            storageKey: place,
            output,
            file: null,
          }),
        );
      }
      // Here the place is the right one, and only what is for people lies.
      const id = randomUUID();
      const right = { kind: 'file', managed: true, directory: join(root, id), name: place };
      ids.push(
        await addStored(sql, root, {
          exportId: id,
          userId: mallory,
          fileUrl: place,
          storageKey: place,
          output: right,
          file: null,
        }),
      );
    }
    for (const output of [
      [],
      null,
      'text',
      1,
      { managed: 'true', directory: root },
      { managed: true, directory: { a: 1 } },
      { managed: true, directory: [root] },
    ])
      ids.push(await addStored(sql, root, { userId: mallory, output: output ?? {}, file: null }));

    expect(ids.length).toBeGreaterThanOrEqual(60);

    const before = await filesIn(parent);
    for (const userId of [mallory, undefined]) {
      const result = await cleanUp(userId === undefined ? { deleteOrphans: true } : { userId });
      expect(result.deleted).toBe(0);
      expect(result.failed).toBe(0);
      if (userId === mallory) expect(result).toMatchObject({ examined: ids.length, missing: places.length });
    }
    expect(await filesIn(parent)).toEqual(before);
    expect(await readFile(outside, 'utf8')).toBe('precious');
    expect(await readFile(hers, 'utf8')).toBe(STORED_BYTES);
    expect(await stateOf(victim)).toEqual({ status: 'completed', isDeleted: false });
  });

  it('cannot make a link in the place of its directory be followed', async () => {
    const target = join(parent, 'target');
    await mkdir(target);
    await writeFile(join(target, STORED_NAME), 'precious');
    const id = await addStored(database.sql, root, { file: null });
    await symlink(target, join(root, id));
    expect(await cleanUp()).toMatchObject({ failed: 1, deleted: 0 });
    expect(await readFile(join(target, STORED_NAME), 'utf8')).toBe('precious');
  });

  it('with an expiry of its own for a file of the user leaves that file', async () => {
    const own = join(parent, 'own.jsonl');
    await writeFile(own, 'mine');
    const id = await addStored(database.sql, root, {
      fileUrl: pathToFileURL(own).href,
      output: { kind: 'file', directory: parent, name: 'own.jsonl' },
      file: null,
    });
    expect(await cleanUp()).toMatchObject({ expired: 1, elsewhere: 1, deleted: 0 });
    expect(await readFile(own, 'utf8')).toBe('mine');
    expect(await stateOf(id)).toEqual({ status: 'expired', isDeleted: false });
  });
});

describe('on a database with users', () => {
  it('cleans up one’s own exports, and everybody’s only when that is said', async () => {
    await using shared = await createDatabase('empty');
    await applyAuthShim(shared.sql);
    await applyMigrations(shared.sql);
    const [alice, bob] = [await addUser(shared.sql), await addUser(shared.sql)];
    const hers = await addStored(shared.sql, root, { userId: alice });
    const his = await addStored(shared.sql, root, { userId: bob });
    const clean = (userId: string | undefined): Promise<CleanupResult> =>
      withAccess(shared, userId, async (access) =>
        cleanUpFiles(access, { directory: await openManagedDirectory(root), deleteOrphans: true }),
      );

    expect(await clean(alice)).toMatchObject({ examined: 1, expired: 1, deleted: 1, orphans: null });
    expect([hasFile(hers), hasFile(his)]).toEqual([false, true]);
    expect(await shared.sql`select status from export_logs where user_id = ${bob}`).toEqual([
      { status: 'completed' },
    ]);
    expect(await clean(undefined)).toMatchObject({ expired: 1, deleted: 1, orphans: { count: 0 } });
    expect(hasFile(his)).toBe(false);
    const rows = await shared.sql`select from export_runs where file_deleted_at is null`;
    expect(rows).toHaveLength(0);
  });
});

describe('orphans', () => {
  async function addOrphan(hours: number): Promise<string> {
    const id = randomUUID();
    await mkdir(join(root, id));
    await writeFile(join(root, id, STORED_NAME), 'orphan');
    const then = new Date(Date.now() - hours * 3_600_000);
    await utimes(join(root, id, STORED_NAME), then, then);
    await utimes(join(root, id), then, then);
    return id;
  }

  it('are counted when they are older than a day and no row knows them, and removed on demand', async () => {
    const old = await addOrphan(25);
    const young = await addOrphan(23);
    const known = await addStored(database.sql, root, {
      exportId: await addOrphan(26),
      file: null,
      expiresIn: 5,
    });

    expect((await cleanUp()).orphans).toEqual({ count: 1, bytes: 6, deleted: 0, failed: 0 });
    expect((await cleanUp({ dryRun: true, deleteOrphans: true })).orphans).toMatchObject({ deleted: 0 });
    expect(hasFile(old)).toBe(true);
    expect((await cleanUp({ deleteOrphans: true })).orphans).toEqual({
      count: 1,
      bytes: 6,
      deleted: 1,
      failed: 0,
    });
    expect([old, young, known].map(hasFile)).toEqual([false, true, true]);
  });

  it('are not what is a day old by one clock only', async () => {
    await addOrphan(25);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 2 * 3_600_000 });
    try {
      expect((await cleanUp()).orphans).toMatchObject({ count: 0 });
    } finally {
      vi.useRealTimers();
    }
    expect((await cleanUp()).orphans).toMatchObject({ count: 1 });
  });

  it('are not what a user cannot see: they are looked for among everybody’s rows', async () => {
    await addStored(database.sql, root, { exportId: await addOrphan(30), file: null, expiresIn: 5 });
    const { orphans } = await cleanUp({ userId: randomUUID(), deleteOrphans: true });
    expect(orphans).toEqual({ count: 0, bytes: 0, deleted: 0, failed: 0 });
  });

  it('are not looked for where policies bind the login', async () => {
    const id = await addOrphan(30);
    const { sql } = database;
    await sql.unsafe(`alter table export_logs enable row level security;
      alter table export_logs force row level security;
      create policy mine on export_logs using (false)`);
    const role = `bound_${randomUUID().slice(0, 8)}`;
    await sql.unsafe(`create role ${role} login; grant usage on schema public to ${role};
      grant select, insert, update on export_logs, export_runs to ${role}`);
    try {
      const url = database.url.replace(/\/\/[^@]*@/, `//${role}@`);
      const { orphans } = await withAccess({ url }, randomUUID(), async (access) =>
        cleanUpFiles(access, { directory: await openManagedDirectory(root), deleteOrphans: true }),
      );
      expect(orphans).toBeNull();
      expect(hasFile(id)).toBe(true);
    } finally {
      await sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

it('stops when its directory is replaced on the way', async () => {
  await addStored(database.sql, root, { file: null });
  await addStored(database.sql, root, { file: null });
  const directory = await openManagedDirectory(root);
  const swap = (): void => {
    execFileSync('mv', [root, `${root}.moved`]);
    execFileSync('ln', ['-s', `${root}.moved`, root]);
  };
  let isSwapped = false;
  const options: Partial<CleanupOptions> = {
    directory,
    host: hostname(),
    onPhase(phase) {
      if (phase !== 'removing' || isSwapped) return;
      isSwapped = true;
      swap();
    },
  };
  await failureOf(cleanUp(options), 'E_USAGE');
  const rows = await database.sql`select from export_runs where file_deleted_at is not null`;
  expect(rows).toHaveLength(0);
});
