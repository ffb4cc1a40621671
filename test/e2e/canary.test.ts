import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CANARY, canaryIn, refuseCanary, refuseCanaryBelow } from '../support/canary.js';
import { makeSandbox, type Ended, type Sandbox } from '../support/cli.js';
import { runHere } from '../support/in-process.js';
import { listen } from '../support/proxy.js';
import { hasOpenssl, makeCertificates, scramRole, startTlsServer, type Listener } from '../support/tls.js';

const encoded = encodeURIComponent(CANARY);
const NOWHERE = '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';

describe('a trace of the password is found', () => {
  const json = JSON.stringify(CANARY);
  test.each([
    ['as it is', CANARY],
    ['encoded for a URL', encoded],
    ['encoded in part', encodeURI(CANARY)],
    ['encoded twice', encodeURIComponent(encoded)],
    ['escaped in JSON', json],
    ['escaped in JSON within JSON', JSON.stringify(json)],
    ['cut at its first sign', CANARY.slice(0, CANARY.indexOf('@'))],
    ['cut before its last sign', CANARY.slice(CANARY.lastIndexOf('\n'))],
    ['in lower case', CANARY.toLowerCase()],
    ['in Base64', Buffer.from(CANARY).toString('base64')],
    ['in hexadecimal digits', Buffer.from(CANARY).toString('hex')],
  ])('%s', (_how, text) => {
    expect(canaryIn(`some ${text} words`)).not.toBeNull();
    expect(() => refuseCanary('a test', text)).toThrow('a test');
  });
});

describe.runIf(hasOpenssl)('a password with @ / : # % and a line break, on a server that demands it', () => {
  let certificates: string;
  let server: Listener;
  let box: Sandbox;
  let sql: postgres.Sql;
  let url: string;
  let strictUrl: string;

  beforeAll(async () => {
    certificates = await mkdtemp(join(tmpdir(), 'lora-canary-'));
    const { selfSigned } = await makeCertificates(certificates);
    server = await startTlsServer(selfSigned, { password: CANARY, isSuperuser: true });
    box = await makeSandbox();
    const address = `${scramRole.user}:${encoded}@127.0.0.1:${server.port}/postgres`;
    url = `postgres://${address}?sslmode=require`;
    strictUrl = `postgres://${address}?sslmode=verify-full`;
    sql = postgres({
      host: '127.0.0.1',
      port: server.port,
      user: 'plain_user',
      password: CANARY,
      database: 'postgres',
      max: 1,
      onnotice: () => undefined,
    });
  });

  afterAll(async () => {
    await sql?.end();
    await server?.close();
    await box?.remove();
    await rm(certificates, { recursive: true, force: true });
  });

  /** One command line as it is, with --debug and with --json; every output is searched. */
  async function all(
    args: readonly string[],
    env: Readonly<Record<string, string>> = { DATABASE_URL: url },
    variants: readonly (readonly string[])[] = [[], ['--debug'], ['--json', '--debug']],
  ): Promise<Omit<Ended, 'signal'>> {
    const ended = await Promise.all(variants.map((more) => runHere(box, [...args, ...more], env)));
    ended.forEach(({ stdout, stderr }, index) =>
      refuseCanary(
        `the output of ${[...args, ...(variants[index] ?? [])].join(' ').slice(0, 40)}`,
        stdout + stderr,
      ),
    );
    return ended[0] as Omit<Ended, 'signal'>;
  }

  /** The command has to have worked, or nothing was tried. */
  async function works(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await all(args, { DATABASE_URL: url }, [['--debug']]);
    expect({ args, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({
      args,
      exitCode: 0,
      stderr: '',
    });
    return stdout;
  }

  test('is in nothing that any command prints, writes or records when all goes well', async () => {
    await works('init', '--with-source', '--hardened');
    await works('init', '--verify', '--json');
    await works('init', '--dry-run');
    const rows = [1, 2, 3].map((n) =>
      JSON.stringify({
        conversation_id: `c_${n}`,
        status: 'approved',
        turns: [
          { role: 'user', content: 'question' },
          { role: 'assistant', content: 'answer' },
        ],
      }),
    );
    await writeFile(box.path('rows.jsonl'), `${rows.join('\n')}\n`);
    await works('import', 'rows.jsonl', '--json');
    for (const format of ['jsonl', 'json', 'csv', 'markdown']) {
      await works('export', '--format', format, '--output', `out.${format}`, '--report', `${format}.report`);
    }
    await works('export', '--dry-run');
    await works('export', '--preview');
    await works('export', '--target', 'trl', '--on', 'no-user=skip', '--save-preset', 'mine');
    await works(
      'export',
      '--preset',
      'mine',
      '--metrics-file',
      box.path('metrics.jsonl'),
      '--log-format',
      'json',
    );
    await works('export', '--output', box.path(''), '--json');
    await works('validate', 'out.jsonl', '--json');
    const id = (await works('export', '--detach', '--output', 'detached.jsonl')).trim();
    await works('worker', '--drain', '--log-format', 'json');
    await works('status', id, '--watch', '--json');
    await works('status', '--json');
    await works('history');
    await works('history', '--json');
    await works('history', id);
    await works('history', id, '--json');
    await works('history', '--csv', '--output', 'history.csv');
    for (const how of ['--stats', '--prometheus']) await works('history', how);
    await works('config');
    await works('config', '--json');
    await all(['doctor']);
    for (const shell of ['bash', 'zsh', 'fish']) expect(canaryIn(await completion(shell))).toBeNull();
    await works('cleanup', '--logs', '--dry-run');
    await sql`update export_runs set heartbeat_at = now() - interval '1 hour' where phase <> 'done'`;

    const logged = await sql<{ text: string }[]>`
      select concat(l::text, r::text) as text from export_logs l left join export_runs r using (export_id)`;
    expect(logged.length).toBeGreaterThan(5);
    for (const { text } of logged) refuseCanary('a row of the audit log', text);
    const shown = await sql<
      { text: string }[]
    >`select concat(application_name, query) as text from pg_stat_activity`;
    for (const { text } of shown) refuseCanary('what the server shows of a session', text);
    expect(await readdir(box.directory)).toContain('metrics.jsonl');
    await refuseCanaryBelow(join(box.directory, '..'));
  });

  async function completion(shell: string): Promise<string> {
    return (await runHere(box, ['completion', shell], { DATABASE_URL: url })).stdout;
  }

  test('is in nothing that a worker in the background writes, nor in its words', async () => {
    const { exitCode, stdout, stderr } = await box.lora(
      ['export', '--detach', '--output', 'far.jsonl', '--debug'],
      {
        env: { DATABASE_URL: strictUrl.replace('verify-full', 'require') },
      },
    );
    expect({ exitCode, stderr: stderr.includes('goes on in the background') }).toEqual({
      exitCode: 0,
      stderr: true,
    });
    for (const pid of await readdir('/proc').catch(() => [])) {
      const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      if (words.includes('lora-export')) refuseCanary('the words of a process', words);
    }
    await box.lora(['status', stdout.trim(), '--watch'], { env: { DATABASE_URL: url } });
    await refuseCanaryBelow(join(box.directory, '..'));
  });

  test('is in no message about a database that refuses', async () => {
    const tcp = createServer((socket) => socket.on('error', () => undefined).destroy());
    const closing = await listen(tcp);
    const port = String(server.port);
    try {
      const broken: [what: string, url: string, status: number][] = [
        ['another password', url.replace(encoded, `${encoded}x`), 21],
        ['no such role', url.replace(scramRole.user, 'nobody'), 21],
        ['no such database', url.replace('/postgres?', '/nothing?'), 21],
        ['a certificate that nobody signed', strictUrl, 21],
        ['no TLS where it is demanded', url.replace('require', 'disable'), 21],
        ['nobody who listens', url.replace(port, '1'), 20],
        ['a server that hangs up', url.replace(port, String(closing)), 20],
        ['no such host', url.replace('127.0.0.1', 'db.invalid'), 20],
        ['a certificate file that is not there', `${url}&sslrootcert=/absent.pem`, 2],
      ];
      await Promise.all(
        broken.map(async ([what, DATABASE_URL, status]) => {
          const [{ exitCode }] = await Promise.all([
            all(['export'], { DATABASE_URL }, [['--debug']]),
            all(['history'], { DATABASE_URL }, [['--json']]),
            all(['doctor'], { DATABASE_URL }, [['--debug'], ['--json']]),
          ]);
          expect({ what, exitCode }).toEqual({ what, exitCode: status });
        }),
      );
    } finally {
      tcp.close();
    }
    await refuseCanaryBelow(join(box.directory, '..'));
  });

  test('is in no message about a URL that is wrong, wherever it is written', async () => {
    const wrong = [
      `postgres://u:${CANARY}@h/d`,
      `postgres://u:${CANARY.replace('\n', '')}@h/d`,
      `postgres://u:${encodeURI(CANARY)}@h/d`,
      `mysql://u:${encoded}@h/d`,
      `jdbc:postgresql://u:${encoded}@h/d`,
      `"postgres://u:${encoded}@h/d"`,
      `postgres://u:${encoded}@h:port/d`,
      `postgres://u:${encoded}@h/d?sslmode=${encoded}`,
      `postgres://u:${encoded}@a,b/d`,
      `u:${encoded}@h/d`,
      `host=h user=u password=${encoded}`,
      `DATABASE_URL=postgres://u:${encoded}@h/d`,
      encoded,
      CANARY,
    ];
    await mkdir(box.path('secret'), { mode: 0o700 });
    for (const [index, value] of wrong.entries()) {
      const config = box.path(`secret/${index}.json`);
      const dotenv = box.path(`secret/${index}.env`);
      await writeFile(config, JSON.stringify({ databaseUrl: value }));
      await writeFile(dotenv, `LORA_EXPORT_DATABASE_URL='${value}'\n`);
      await chmod(config, 0o644);
      const cases: [args: string[], env: Record<string, string>][] = [
        [['export'], { DATABASE_URL: value }],
        [['status', '--database-url', value], {}],
        [['history', '--config', config], {}],
        [['worker', '--dotenv', dotenv], {}],
      ];
      for (const [args, env] of cases) expect((await all(args, env)).exitCode).toBe(2);
      for (const command of ['config', 'doctor']) {
        await all([command], { DATABASE_URL: value });
        await all([command, '--config', config], {});
      }
    }
    await rm(box.path('secret'), { recursive: true });
    await refuseCanaryBelow(join(box.directory, '..'));
  });

  test('is in no message about a URL in the place of something else', async () => {
    const closed = { DATABASE_URL: 'mysql://u@h/d' };
    const flags = `
      --format --scope --target --sort --limit --min-quality --from --user --on --role-map --preset
      --save-preset --like --cancel --max-skipped --system-prompt-from --ids-file --filter-file
      --config --dotenv --output --metrics-file --databse-url --report --system-prompt-file --schema
      --shape --retention-hours --batch-size`
      .trim()
      .split(/\s+/);
    for (const flag of flags) {
      expect((await all(['export', flag, url], closed)).exitCode).toBe(2);
      await all(['export', `${flag}=${url}`], closed, [['--debug']]);
    }
    for (const args of [
      [url],
      ['help', url],
      ['export', url],
      ['import', url],
      ['validate', url],
      ['status', url],
      ['history', url],
      ['download', url],
      ['completion', url],
      ['cleanup', '--schedule', url],
      ['cleanup', '--schedule', '0 2 * * *', '--timezone', url],
      ['history', '--stats', '--since', url],
      ['history', '--csv', '--output', url],
      ['download', NOWHERE, '--output', url],
    ]) {
      expect((await all(args, closed)).exitCode).not.toBe(0);
    }
    const variables = `
      USER_ID RETENTION_HOURS FORMAT TARGET SCOPE JOB_FROM CONFIG LEGAL_HOLD LOG_FORMAT
      LOG_RETENTION_DAYS MAX_EXPORTS_PER_HOUR SCHEMA AUDIT_SCHEMA`
      .trim()
      .split(/\s+/);
    for (const name of variables) {
      await all(['export'], { ...closed, [`LORA_EXPORT_${name}`]: url });
    }
  });

  test('is in no row and no message when a run fails, whatever the server says', async () => {
    await sql.unsafe(
      `create function refuse() returns trigger language plpgsql as
         $$ begin if new.phase = 'publishing' then raise exception 'refused'; end if; return new; end $$;
       create trigger refuse before update on export_runs for each row execute function refuse();`,
    );
    const { exitCode, stderr } = await all(['export', '--output', 'never.jsonl']);
    expect(stderr).toContain('nothing was published');
    expect(exitCode).toBe(28);
    await sql.unsafe('drop trigger refuse on export_runs');
    for (const args of [
      ['export', '--schema', 'absent'],
      ['export', '--audit-schema', 'absent'],
      ['export', '--ids', 'absent'],
      ['export', '--search', 'absent'],
      ['export', '--output', '/dev/full'],
      ['export', '--output', 'absent/x.jsonl'],
      ['export', '--timeout', '0.1', '--stall-timeout', '0.1', '--search', 'absent'],
      ['status', NOWHERE],
      ['history', NOWHERE],
      ['download', NOWHERE],
      ['export', '--cancel', NOWHERE],
      ['cleanup', '--files'],
      ['worker', '--job', NOWHERE],
      ['history', '--check'],
      ['init', '--down'],
    ]) {
      const { exitCode } = await all(args);
      if (args[0] !== 'history') expect({ args, exitCode }).not.toEqual({ args, exitCode: 0 });
    }
    const rows = await sql<{ text: string }[]>`
      select concat(l::text, r::text) as text from export_logs l left join export_runs r using (export_id)`;
    for (const { text } of rows) refuseCanary('a row of the audit log', text);
    await refuseCanaryBelow(join(box.directory, '..'));
  });
});
