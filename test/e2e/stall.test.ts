import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { startProxy, type Proxy } from '../support/proxy.js';
import { onlyRun, seed } from '../support/seed.js';

describe('a database that falls silent in the middle of an export', () => {
  let database: TestDatabase;
  let proxy: Proxy;
  let box: Sandbox;

  beforeAll(async () => {
    database = await createDatabase();
    await seed(database.sql, 2_000, 256);
    const { socketDirectory, user } = inject('testServer');
    proxy = await startProxy({ path: `${socketDirectory}/.s.PGSQL.5432` });
    box = await makeSandbox({ url: `postgres://${user}@127.0.0.1:${proxy.port}/${database.name}` });
  });

  afterAll(async () => {
    await proxy.close();
    await box.remove();
    await database.drop();
  });

  it('ends with status 31 and a failed row, and leaves no file', async () => {
    // Only the connection that reads content gets so many bytes; the one of the audit log goes on.
    proxy.failAfter(100_000, 'stall');
    const { exitCode, stderr } = await box.lora(['export', '--output', 'out.jsonl', '--stall-timeout', '1']);
    expect(stderr).toContain('sent nothing for 1 s');
    expect(exitCode).toBe(31);
    expect(await box.files()).toEqual([]);
    expect(await onlyRun(database.sql)).toMatchObject({ status: 'failed', phase: 'done', file_url: null });
  });
});
