import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';

import { makeSandbox, type Ended, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';
import { loggedRuns, onlyRun, seed } from '../support/seed.js';
import { hasOpenssl, makeCertificates, scramRole, startTlsServer } from '../support/tls.js';

/** Every character that a URL needs to have encoded. */
const canary = 'canary@5/6:7#8%9 ?&=é';
const secrets = [canary, encodeURIComponent(canary), JSON.stringify(canary).slice(1, -1)];

let box: Sandbox;

beforeAll(async () => {
  box = await makeSandbox();
});

afterAll(() => box.remove());

/** What `--json` says about a failure, after checks that hold for every failure. */
async function failureOf(run: Promise<Ended>): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await run;
  expect(stdout).toBe('');
  const last = stderr.trimEnd().split('\n').at(-1) ?? '';
  const failure = JSON.parse(last) as Record<string, unknown>;
  expect(failure['code']).toBe(exitCode);
  expect(failure['message']).toEqual(expect.any(String));
  for (const secret of secrets) expect(stderr).not.toContain(secret);
  return failure;
}

function like(text: string): unknown {
  return expect.stringContaining(text);
}

describe('a database that cannot be used', () => {
  let database: TestDatabase;
  const broken = (url: string, ...more: string[]): Promise<Record<string, unknown>> =>
    failureOf(
      box.lora(['export', '--output', 'out.jsonl', '--json', ...more], { env: { DATABASE_URL: url } }),
    );

  beforeEach(async () => {
    database = await createDatabase('empty');
  });

  afterEach(async () => {
    expect(await box.files()).toEqual([]);
    await database.drop();
  });

  test('without the audit tables is status 22, and names init', async () => {
    expect(await broken(database.url)).toMatchObject({
      code: 22,
      kind: 'E_SCHEMA',
      message: like('public.export_logs'),
      hint: like('lora-export init'),
    });
  });

  test('with the audit table of another program is status 22, and names every column that is missing', async () => {
    const columns = Array.from({ length: 22 }, (_, index) => `c${index} text`).join(', ');
    await database.sql.unsafe(
      `create table export_logs (id uuid primary key, user_id text not null, status integer, ${columns})`,
    );
    const failure = await broken(database.url);
    expect(failure).toMatchObject({ code: 22, message: like('export_logs.export_id is missing') });
    expect(failure['message']).toContain('export_logs.status is integer instead of text');
    expect(failure['message']).toContain('export_runs is missing');
    expect(failure['hint']).toContain('--audit-schema');
  });

  test('without the source tables is status 22, and names both', async () => {
    expect((await box.lora(['init'], { database })).exitCode).toBe(0);
    const failure = await broken(database.url);
    expect(failure).toMatchObject({ code: 22, message: like('conversations is missing') });
    expect(failure['message']).toContain('conversation_turns is missing');
    expect(await loggedRuns(database.sql)).toEqual([]);
  });

  test('that does not exist is status 21', async () => {
    expect(await broken(database.url.replace(database.name, 'nowhere'))).toMatchObject({
      code: 21,
      kind: 'E_DB_ACCESS',
      message: like('does not exist'),
    });
  });

  test('whose role does not exist is status 21', async () => {
    expect(await broken(`${database.url}&user=nobody_here`)).toMatchObject({
      code: 21,
      message: like('nobody_here'),
    });
  });

  test('whose socket does not exist is status 20 after a few tries', async () => {
    const failure = await broken(database.url.replace('socket', 'absent'));
    expect(failure).toMatchObject({ code: 20, retryable: true, message: like('Nothing listens') });
  });

  test('whose host is not known is status 20, and names the host', async () => {
    expect(await broken('postgres://u@db.invalid/d')).toMatchObject({
      code: 20,
      message: like('db.invalid'),
    });
  });

  test('that is a web server is status 20, and names the address', async () => {
    const web = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve));
    const { port } = web.address() as AddressInfo;
    try {
      expect(await broken(`postgres://u@127.0.0.1:${port}/d`)).toMatchObject({
        code: 20,
        message: like(`127.0.0.1:${port}`),
      });
    } finally {
      web.close();
    }
  });

  test('that accepts and closes is status 20 after few connections', async () => {
    const { socketDirectory } = inject('testServer');
    const proxy = await startProxy({ path: join(socketDirectory, '.s.PGSQL.5432') });
    proxy.refuse();
    try {
      expect(await broken(`postgres://u@127.0.0.1:${proxy.port}/d`)).toMatchObject({ code: 20 });
      expect(proxy.connections).toBeLessThanOrEqual(3);
    } finally {
      await proxy.close();
    }
  });
});

describe('an audit log that refuses', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
    await seed(database.sql, 3);
  });

  afterEach(async () => {
    expect(await box.files()).toEqual([]);
    await database.drop();
  });

  const refused = (...args: string[]): Promise<Record<string, unknown>> =>
    failureOf(box.lora(['export', '--json', ...args], { database }));

  test.each(['stdout', 'file'])(
    'an insert by a trigger is status 28 with nothing read: %s',
    async (where) => {
      await database.sql
        .unsafe(
          `create function refuse() returns trigger language plpgsql as
           $$ begin raise exception 'row holds a secret'; end $$;
         create trigger refuse before insert on export_logs for each row execute function refuse();`,
        )
        .simple();
      const failure = await refused(...(where === 'file' ? ['--output', 'out.jsonl'] : []));
      expect(failure).toMatchObject({ code: 28, kind: 'E_AUDIT', message: like('nothing was read') });
      expect(failure['message']).not.toContain('secret');
      expect(await loggedRuns(database.sql)).toEqual([]);
    },
  );

  test.each(['select', 'select, update'])('for lack of a grant beyond %s is status 28', async (granted) => {
    const role = `reader_${randomBytes(4).toString('hex')}`;
    await database.sql
      .unsafe(`create role ${role} login; grant ${granted} on all tables in schema public to ${role};`)
      .simple();
    try {
      const failure = await failureOf(
        box.lora(['export', '--json'], { env: { DATABASE_URL: `${database.url}&user=${role}` } }),
      );
      expect(failure).toMatchObject({ code: 28, message: like('ermission denied'), hint: like('Grant') });
    } finally {
      await database.sql.unsafe(`drop owned by ${role}; drop role ${role};`).simple();
    }
  });

  test('the completion is status 28, says where the file is, and the next run completes the row', async () => {
    await database.sql
      .unsafe(
        `create function refuse() returns trigger language plpgsql as
           $$ begin if new.status = 'completed' then raise exception 'no'; end if; return new; end $$;
         create trigger refuse before update on export_logs for each row execute function refuse();`,
      )
      .simple();
    const failure = await refused('--output', 'out.jsonl');
    expect(failure).toMatchObject({ code: 28, message: like('out.jsonl'), hint: like('next command') });
    const { export_id: id, sha256 } = await onlyRun(database.sql);
    expect(failure['export_id']).toBe(id);
    await database.sql.unsafe('drop trigger refuse on export_logs').simple();
    await database.sql`update export_runs set heartbeat_at = now() - interval '1 hour'`;
    const next = await box.lora(['export', '--limit', '1'], { database });
    expect(next.stderr).toContain(id);
    const [run] = await loggedRuns(database.sql);
    expect(run).toMatchObject({ export_id: id, status: 'completed', sha256 });
    await rm(box.path('out.jsonl'));
  });

  test('a row deleted meanwhile is status 28, and no file stays', async () => {
    await database.sql
      .unsafe(
        `create function vanish() returns trigger language plpgsql as
           $$ begin delete from export_logs where export_id = new.export_id; return null; end $$;
         create trigger vanish after insert on export_runs for each row execute function vanish();`,
      )
      .simple();
    expect(await refused('--output', 'out.jsonl')).toMatchObject({
      code: 28,
      message: like('no longer ours'),
    });
  });
});

describe('a target that cannot be written', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await seed(database.sql, 3);
  });

  afterEach(async () => {
    expect(await loggedRuns(database.sql)).toEqual([]);
    await rm(box.directory, { recursive: true });
    await mkdir(box.directory);
  });

  afterAll(() => database.drop());

  const toTarget = (...args: string[]): Promise<Record<string, unknown>> =>
    failureOf(box.lora(['export', '--json', ...args], { database }));

  test('because it exists is status 25, and the file stays as it was', async () => {
    await writeFile(box.path('out.jsonl'), 'mine');
    expect(await toTarget('--output', 'out.jsonl')).toMatchObject({
      code: 25,
      kind: 'E_OUTPUT_EXISTS',
      message: like('out.jsonl exists'),
      hint: like('--force'),
    });
    expect(await readFile(box.path('out.jsonl'), 'utf8')).toBe('mine');
  });

  test.each(['--force', '--strict'])(
    'because it is a symbolic link is status 25, with %s too',
    async (flag) => {
      await writeFile(box.path('victim'), 'mine');
      await symlink('victim', box.path('link.jsonl'));
      await symlink('nowhere', box.path('dangling.jsonl'));
      for (const name of ['link.jsonl', 'dangling.jsonl']) {
        expect(await toTarget('--output', name, flag)).toMatchObject({
          code: 25,
          message: like('not a regular'),
        });
      }
      expect(await readFile(box.path('victim'), 'utf8')).toBe('mine');
      expect(await box.files()).toEqual(['dangling.jsonl', 'link.jsonl', 'victim']);
    },
  );

  test('because it is a FIFO is status 25', async () => {
    execFileSync('mkfifo', [box.path('pipe')]);
    expect(await toTarget('--output', 'pipe', '--force')).toMatchObject({
      code: 25,
      message: like('not a regular'),
    });
  });

  test('because its directory does not exist is status 24', async () => {
    expect(await toTarget('--output', 'no/such/out.jsonl')).toMatchObject({
      code: 24,
      message: like('directory does not exist'),
      hint: like('Create it first'),
    });
    expect(await toTarget('--output', 'no/such/')).toMatchObject({ code: 24 });
  });

  test('because a part of its path is a file is status 24', async () => {
    await writeFile(box.path('file'), '');
    expect(await toTarget('--output', 'file/out.jsonl')).toMatchObject({
      code: 24,
      message: like('not a directory'),
    });
  });

  test('because its name is too long is status 24', async () => {
    expect(await toTarget('--output', `${'n'.repeat(256)}.jsonl`)).toMatchObject({
      code: 24,
      message: like('too long'),
    });
  });

  test.skipIf(process.getuid?.() === 0)('because the directory is read-only is status 24', async () => {
    await mkdir(box.path('closed'), { mode: 0o555 });
    expect(await toTarget('--output', 'closed/out.jsonl')).toMatchObject({
      code: 24,
      message: like('permission denied'),
    });
  });

  test('because the report cannot be written is status 24, before anything is logged', async () => {
    expect(await toTarget('--output', 'out.jsonl', '--report', 'no/such/report')).toMatchObject({ code: 24 });
    expect(await box.files()).toEqual([]);
  });
});

test.runIf(process.platform === 'linux')('a file system that takes no files is status 24', async () => {
  const database = await createDatabase();
  try {
    await seed(database.sql, 1);
    const run = box.lora(['export', '--json', '--output', '/proc/out.jsonl'], { database });
    expect(await failureOf(run)).toMatchObject({ code: 24, kind: 'E_OUTPUT', message: like('/proc') });
    expect((await loggedRuns(database.sql)).filter(({ status }) => status !== 'failed')).toEqual([]);
  } finally {
    await database.drop();
  }
});

test('a file that would pass the size limit of the process is status 24, and nothing stays', async () => {
  const database = await createDatabase();
  try {
    await seed(database.sql, 100, 4_000);
    const { exitCode, stderr } = await box.shell('ulimit -f 20; "$@"', ['export', '--output', 'big.jsonl'], {
      database,
    });
    expect(stderr).toContain('size limit');
    expect(exitCode).toBe(24);
    expect((await onlyRun(database.sql)).status).toBe('failed');
    expect(await box.files()).toEqual([]);
  } finally {
    await database.drop();
  }
});

test('nothing that matches is status 30 with a failed row and no file, unless --allow-empty', async () => {
  const database = await createDatabase();
  try {
    const args = ['export', '--output', 'out.jsonl', '--json'];
    expect(await failureOf(box.lora(args, { database }))).toMatchObject({
      code: 30,
      hint: like('--allow-empty'),
    });
    expect((await onlyRun(database.sql)).status).toBe('failed');
    expect(await box.files()).toEqual([]);
    expect((await box.lora([...args, '--allow-empty'], { database })).exitCode).toBe(0);
    expect((await stat(box.path('out.jsonl'))).size).toBe(0);
  } finally {
    await rm(box.path('out.jsonl'), { force: true });
    await database.drop();
  }
});

test('what a database URL has beside what is understood is named, left out, and does no harm', async () => {
  const database = await createDatabase();
  try {
    await seed(database.sql, 1);
    const url = `${database.url}&pgbouncer=true&connection_limit=1&schema=hidden-value&statement_cache_size=0`;
    const { exitCode, stderr } = await box.lora(['export'], { env: { DATABASE_URL: url } });
    expect(exitCode).toBe(0);
    expect(stderr).toContain('ignored: pgbouncer, connection_limit, schema, statement_cache_size');
    expect(stderr).not.toContain('hidden-value');
  } finally {
    await database.drop();
  }
});

describe('a password', () => {
  const encoded = encodeURIComponent(canary);
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await seed(database.sql, 2);
  });

  afterAll(() => database.drop());

  function expectNoSecret(text: string): void {
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/canary|23%208%25|%3F%26/);
  }

  test('is in no output, file or row of a run that works', async () => {
    const withPassword = (word: string): string => database.url.replace('@localhost', `:${word}@localhost`);
    for (const args of [
      ['--debug'],
      ['--json'],
      ['--dry-run'],
      ['--output', 'out.jsonl', '--report', 'report'],
    ]) {
      const { exitCode, stdout, stderr } = await box.lora(['export', ...args], {
        env: { DATABASE_URL: withPassword(encoded) },
      });
      expect(exitCode).toBe(0);
      expectNoSecret(stdout + stderr);
    }
    const typed = await box.lora(['export', '--database-url', withPassword(encoded)]);
    expect(typed.exitCode).toBe(0);
    expect(typed.stderr).toContain('warning: a password on the command line');
    expectNoSecret(typed.stderr);
    for (const name of await box.files()) {
      expectNoSecret(await readFile(box.path(name), 'utf8'));
      await rm(box.path(name));
    }
    const rows =
      await database.sql`select l::text, r::text from export_logs l join export_runs r using (export_id)`;
    expect(rows.length).toBe(4);
    expectNoSecret(JSON.stringify(rows));
  });

  test('is in no message about a URL or a word that is wrong', async () => {
    const urls = [
      `postgres://u:${canary}@h/d`,
      `postgres://u:${encoded}@h:port/d`,
      `postgres://u:${encoded}@h/d?sslmode=wrong`,
      `postgres://u:${encoded}@h/d?${encoded}`,
      `postgres://u:${encoded}%zz@h/d`,
      `postgres://u:${encoded}@db.invalid/d`,
      `postgres://u:${encoded}@127.0.0.1:1/d?connect_timeout=1`,
      `postgres//u:${encoded}@h/d`,
      encoded,
    ];
    const lines = urls.flatMap((url) => [
      { args: ['export', '--debug'], env: { DATABASE_URL: url } },
      { args: ['export', '--json', '--database-url', url], env: {} },
    ]);
    const url = `postgres://u:${encoded}@h/d`;
    for (const args of [['export', `--databse-url=${url}`], ['export', url], [url], ['help', url]]) {
      lines.push({ args, env: { DATABASE_URL: '' } });
    }
    await writeFile(box.path('config.json'), `{"databaseUrl": "${url}",}`);
    lines.push({ args: ['export', '--config', 'config.json', '--debug'], env: {} });
    const runs = lines.map(async ({ args, env }) => box.lora(args, { env }));
    for (const { exitCode, stdout, stderr } of await Promise.all(runs)) {
      expect([2, 20]).toContain(exitCode);
      expectNoSecret(stdout + stderr);
    }
    await rm(box.path('config.json'));
  });

  test.runIf(hasOpenssl)('that is wrong is status 21, and is shown nowhere', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lora-certificates-'));
    const { right } = await makeCertificates(directory);
    const server = await startTlsServer(right);
    try {
      const url = `postgres://plain_user:${encoded}@127.0.0.1:${server.port}/postgres`;
      for (const flag of ['--debug', '--json']) {
        const { exitCode, stdout, stderr } = await box.lora(['export', flag], { env: { DATABASE_URL: url } });
        expect(exitCode).toBe(21);
        expect(stderr).toContain('password was refused');
        expectNoSecret(stdout + stderr);
      }
      const good = url.replace(encoded, encodeURIComponent(scramRole.password));
      const { stderr } = await box.lora(['export', '--debug'], { env: { DATABASE_URL: good } });
      expect(stderr).toContain('export_logs');
      expect(stderr).not.toContain(scramRole.password);
      const fromVariable = await box.lora(['export'], {
        env: { DATABASE_URL: url.replace(`:${encoded}`, ''), PGPASSWORD: canary },
      });
      expect(fromVariable.exitCode).toBe(21);
      expectNoSecret(fromVariable.stderr);
    } finally {
      await server.close();
      await rm(directory, { recursive: true });
    }
    expect(await readdir(box.directory)).toEqual([]);
  });
});
