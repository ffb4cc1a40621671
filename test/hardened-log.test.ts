import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { cleanUpFiles } from '../src/cleanup.js';
import { claimJob } from '../src/db/jobs.js';
import { migrate } from '../src/db/migrate.js';
import { parseDatabaseUrl } from '../src/db/target.js';
import { createExportService, ExportPermissionError } from '../src/index.js';
import { cleanUpLogs } from '../src/cleanup/log-archive.js';
import { cancelExport, queueExport } from '../src/jobs/queue.js';
import { recoverDeadRuns } from '../src/recovery.js';
import { openManagedDirectory } from '../src/sinks/managed-directory.js';
import { runWorker } from '../src/jobs/worker.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, asUser } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { auditRows, failureOf, HOST, runExport } from './support/export.js';
import { ageHeartbeats, loggedRuns, seed } from './support/seed.js';
import { makeManagedRoot } from './support/stored.js';

let database: TestDatabase;
let user: string;
let parent: string;
let root: string;

beforeEach(async () => {
  database = await createDatabase('empty');
  await applyAuthShim(database.sql);
  await migrate(database.sql, { schema: 'public', sourceSchema: 'public', hardened: true });
  user = await addUser(database.sql);
  await seed(database.sql, 3);
  ({ parent, root } = await makeManagedRoot());
});
afterEach(async () => {
  await database.drop();
  await rm(parent, { recursive: true, force: true });
});

const asOne = <T>(use: Parameters<typeof withAccess<T>>[2]) => withAccess(database, user, use);

async function logOf(exportId: string): Promise<Record<string, unknown> | undefined> {
  return (await auditRows(database.sql, exportId))?.log;
}

async function queue(): Promise<string> {
  const { exportId } = await queueExport(
    { output: { kind: 'managed', directory: root }, userId: user },
    { database: parseDatabaseUrl(database.url, 'the test'), host: HOST },
  );
  return exportId;
}

const work = () =>
  asOne((access) =>
    runWorker({
      access,
      database: parseDatabaseUrl(database.url, 'the test'),
      exportDirectory: root,
      drain: true,
      host: HOST,
    }),
  );

const cleanUp = () =>
  asOne(async (access) => cleanUpFiles(access, { directory: await openManagedDirectory(root), host: HOST }));

it('a hardened log takes exports that work and exports that fail', async () => {
  const { result } = await runExport(database, { userId: user });
  expect(await logOf(result.exportId)).toMatchObject({ status: 'completed', conversation_count: 3 });

  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no more')) });
  await failureOf(runExport(database, { userId: user }, { stream: broken }), 'E_OUTPUT');
  expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(['completed', 'failed']);
});

it('a hardened log lets files expire and be removed', async () => {
  const output = { kind: 'managed', directory: root } as const;
  const { result } = await runExport(database, { userId: user, output });
  await asUser(
    database.sql,
    user,
    (tx) => tx`update export_logs set expires_at = now() - interval '1 second'`,
  );
  expect(await cleanUp()).toMatchObject({ expired: 1, deleted: 1, failed: 0 });
  expect(existsSync(result.location)).toBe(false);
  const rows = await auditRows(database.sql, result.exportId);
  expect(rows?.log).toMatchObject({ status: 'expired' });
  expect(rows?.run['file_deleted_at']).toBeInstanceOf(Date);
});

it('a hardened log lets jobs be done, taken over from a dead worker, and cancelled', async () => {
  const done = await queue();
  expect(await work()).toMatchObject({ completed: 1, failed: 0 });
  expect(await logOf(done)).toMatchObject({ status: 'completed' });

  const orphaned = await queue();
  await asOne((access) =>
    claimJob(access, { workerId: randomUUID(), host: HOST, limitSeconds: 90, mostAttempts: 3 }),
  );
  await ageHeartbeats(database.sql);
  expect(await work()).toMatchObject({ completed: 1, failed: 0 });
  expect((await auditRows(database.sql, orphaned))?.run).toMatchObject({ attempt: 2, phase: 'done' });

  const unwanted = await queue();
  await asOne((access) => cancelExport(access, unwanted));
  expect(await logOf(unwanted)).toMatchObject({
    status: 'failed',
    error_message: `cancelled by user ${user}`,
  });
});

it('a hardened log lets recovery fail what died, and complete what was published', async () => {
  const bytes = Buffer.from('{"messages":[]}\n');
  const [lost, published] = [await queue(), await queue()];
  const directory = join(root, published);
  await mkdir(directory);
  await writeFile(join(directory, 'out.jsonl'), bytes);
  await asUser(database.sql, user, async (tx) => {
    await tx`update export_logs set status = 'processing'`;
    await tx`update export_logs set file_size = ${bytes.length} where export_id = ${published}`;
    await tx`
      update export_runs set phase = 'publishing', sha256 = ${createHash('sha256').update(bytes).digest('hex')},
        output = ${tx.json({ kind: 'file', directory, name: 'out.jsonl', managed: true })}
      where export_id = ${published}`;
  });
  await ageHeartbeats(database.sql);
  expect(await asOne((access) => recoverDeadRuns(access, HOST))).toEqual({
    completed: [published],
    failed: [lost],
    left: [],
  });
  expect(await logOf(published)).toMatchObject({
    status: 'completed',
    config: { result: { recovered: true } },
  });
});

it('cleanup --logs still archives and deletes, from a hardened log too', async () => {
  const { sql } = database;
  const addFailed = async (days: number): Promise<string> => {
    const exportId = randomUUID();
    await sql`
      insert into export_logs (export_id, user_id, format, config, conversation_count, status, created_at)
      values (${exportId}, ${user}, 'jsonl', '{}', 0, 'failed', now() - ${days}::integer * interval '1 day')`;
    await sql`insert into export_runs (export_id, phase) values (${exportId}, 'done')`;
    return exportId;
  };
  await addFailed(40);
  await addFailed(41);
  const young = await addFailed(1);
  const options = { olderThanDays: 30, archiveDirectory: join(parent, 'archive'), database: 'test' };
  await asOne(async (access) => {
    expect(await cleanUpLogs(access, options)).toMatchObject({ deleted: 2 });
    // The session may go to somebody else, through a pooler.
    const { sql: session, ask } = access.login;
    expect(await ask(() => session`select current_setting('lora_export.purge', true) as purge`)).toEqual([
      { purge: '' },
    ]);
  });
  expect(await sql`select export_id from export_logs`).toEqual([{ export_id: young }]);
  expect(await sql`select export_id from export_runs`).toEqual([{ export_id: young }]);
  await expect(sql`delete from export_logs`).rejects.toThrow(/cannot be deleted/);
});

it('the service reads, changes and expires, but may not delete: a permission error, absent or not', async () => {
  const service = createExportService(database.sql);
  const { export_id: id } = await service.createExportLog({
    user_id: user,
    format: 'jsonl',
    config: { scope: 'approved', format: 'jsonl' },
    conversation_count: 1,
    status: 'processing',
  });
  await service.updateExportLog(id, {
    status: 'completed',
    file_size: 10,
    conversation_count: 2,
    expires_at: '2025-01-01T00:00:00Z',
    config: { result: { exported: 2 } },
  });
  expect(await failureOf(service.updateExportLog(id, { conversation_count: 3 }), 'E_AUDIT')).toMatchObject({
    message: expect.stringContaining('export_logs_hardened') as string,
  });
  expect(await service.markExpiredExports()).toBe(1);
  for (const some of [id, randomUUID()]) {
    const refusal = await failureOf(service.deleteExportLog(some), 'E_DB_ACCESS');
    expect(refusal).toBeInstanceOf(ExportPermissionError);
    expect(refusal.message).toBe(`Permission denied for export: ${some}`);
    expect(refusal.hint).toContain('hardened');
  }
  expect(await service.getExportLog(id)).toMatchObject({ status: 'expired', conversation_count: 2 });
});
