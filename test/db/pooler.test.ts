import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { exportConversations } from '../../src/export.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { collector } from '../support/export.js';
import { loggedRuns, seed } from '../support/seed.js';

const hasPooler = spawnSync('pgbouncer', ['--version']).status === 0;
if (!hasPooler)
  process.stderr.write('skipped: PgBouncer is not installed, so nothing was run through a pooler\n');

/** PgBouncer in transaction mode with two server sessions, on the port that Supabase uses for it. */
describe.skipIf(!hasPooler || !(await isFree(6543)))('behind a transaction pooler with two sessions', () => {
  let database: TestDatabase;
  let directory: string;
  let pooler: ChildProcess;

  beforeAll(async () => {
    database = await createDatabase();
    await seed(database.sql, 300, 2_000);
    const { socketDirectory, user } = inject('testServer');
    directory = await mkdtemp(join(tmpdir(), 'lora-pooler-'));
    await chmod(directory, 0o777);
    const settings = [
      '[databases]',
      `${database.name} = host=${socketDirectory} port=5432 user=${user}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      'listen_port = 6543',
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'default_pool_size = 2',
    ];
    await writeFile(join(directory, 'pooler.ini'), `${settings.join('\n')}\n`, { mode: 0o644 });
    // It refuses to run as root, and the test server's account may use the socket.
    const account = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
    pooler = spawn('pgbouncer', [...account, join(directory, 'pooler.ini')], { stdio: 'ignore' });
    while (await isFree(6543)) await sleep(50);
  });

  afterAll(async () => {
    pooler.kill('SIGINT');
    await rm(directory, { recursive: true, force: true });
    await database.drop();
  });

  it('six exports at once all finish with the same bytes, and leave no setting behind', async () => {
    const url = `postgresql://${inject('testServer').user}@127.0.0.1:6543/${database.name}?sslmode=disable`;
    const results = await Promise.all(
      Array.from({ length: 6 }, () =>
        exportConversations({}, { database: parseDatabaseUrl(url, 'the test'), stream: collector().stream }),
      ),
    );
    expect(new Set(results.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(results.map(({ counts }) => counts.written)).toEqual(Array.from({ length: 6 }, () => 300));
    expect((await loggedRuns(database.sql)).map(({ status }) => status)).toEqual(
      Array.from({ length: 6 }, () => 'completed'),
    );
  });
});

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
