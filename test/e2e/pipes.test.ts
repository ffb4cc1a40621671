import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { onlyRun, seed } from '../support/seed.js';

const CONVERSATIONS = 400;

let database: TestDatabase;
let box: Sandbox;
/** The bytes that every way of exporting must give. */
let expected: string;

beforeAll(async () => {
  database = await createDatabase();
  // More than a pipe holds, and more than one flush of the encoder.
  await seed(database.sql, CONVERSATIONS, 4_000);
  box = await makeSandbox(database);
  expected = (await box.lora(['export'])).stdout;
});

afterAll(async () => {
  await database.drop();
  await box.remove();
});

beforeEach(async () => {
  await database.sql`delete from export_logs`;
});

describe('standard output', () => {
  test('holds every conversation, one per line, and nothing else', async () => {
    const lines = expected.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => (JSON.parse(line) as { messages: unknown[] }).messages.length)).toEqual(
      Array(CONVERSATIONS).fill(2),
    );
  });

  test('read by head alone ends the run silently with status 141, and the log says how far it was', async () => {
    const { exitCode, stdout, stderr } = await box.shell('"$@" | head -1', ['export']);
    expect(stderr).toBe('');
    expect(exitCode).toBe(141);
    expect(stdout).toBe(`${expected.split('\n')[0]}\n`);
    const run = await onlyRun(database.sql);
    expect(run.status).toBe('failed');
    expect(run.error_message).toMatch(/closed the output after \d+ of 400/);
  });

  test('compressed and read by head alone ends the same way', async () => {
    const { exitCode, stderr } = await box.shell('"$@" | head -c 1', ['export', '--gzip', '--output', '-']);
    // Whether the last bytes were out before the reader left is up to the system.
    expect([0, 141]).toContain(exitCode);
    if (exitCode === 141) expect(stderr).toBe('');
    expect((await onlyRun(database.sql)).status).toBe(exitCode === 0 ? 'completed' : 'failed');
  });

  test('sent to a file, or through gzip, gives the same bytes, and the log has their checksum', async () => {
    expect((await box.shell('"$@" > plain.jsonl', ['export'])).exitCode).toBe(0);
    const bytes = await readFile(box.path('plain.jsonl'));
    expect(bytes.toString()).toBe(expected);
    const run = await onlyRun(database.sql);
    expect(run.status).toBe('completed');
    expect(run.file_size).toBe(String(bytes.length));
    expect(run.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect((await box.shell('"$@" | gzip > packed.gz', ['export', '--output', '-'])).exitCode).toBe(0);
    expect(gunzipSync(await readFile(box.path('packed.gz'))).toString()).toBe(expected);
  });

  test('loses nothing to a slow reader', async () => {
    const { exitCode, stdout } = await box.shell('"$@" | { sleep 1; cat; }', ['export']);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(expected);
  });

  test.runIf(process.platform === 'linux')(
    'on a full device fails the run with status 24 and says so',
    async () => {
      const { exitCode, stderr } = await box.shell('"$@" > /dev/full', ['export']);
      expect(stderr).toMatch(/Cannot write standard output: there is no space left/);
      expect(exitCode).toBe(24);
      expect((await onlyRun(database.sql)).status).toBe('failed');
    },
  );

  test('closed before the start is the null device, which Node opens in its place', async () => {
    const { exitCode, stderr } = await box.shell('"$@" >&-', ['export']);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('Exported 400 conversations');
    expect((await onlyRun(database.sql)).status).toBe('completed');
  });

  test('gets no notice of the server, no cause and no progress', async () => {
    await database.sql
      .unsafe(
        `create function shout() returns trigger language plpgsql as
           $$ begin raise notice 'a notice'; raise warning 'a warning'; return new; end $$;
         create trigger shout before insert or update on export_logs for each row execute function shout();`,
      )
      .simple();
    try {
      const { exitCode, stdout, stderr } = await box.lora(['export', '--debug']);
      expect(stdout).toBe(expected);
      expect(exitCode).toBe(0);
      expect(stderr).toContain('a notice');
      expect(stderr).toContain('a warning');
    } finally {
      await database.sql.unsafe('drop trigger shout on export_logs; drop function shout()').simple();
    }
  });

  test('stays data alone with --json: the summary goes to standard error', async () => {
    const { stdout, stderr } = await box.lora(['export', '--json']);
    expect(stdout).toBe(expected);
    expect(JSON.parse(stderr)).toMatchObject({ status: 'completed', conversation_count: CONVERSATIONS });
  });
});

describe('a terminal', () => {
  test('gets the path of a managed file that only its owner can read', async () => {
    const { exitCode, screen } = await inTerminal(['export']);
    expect(exitCode).toBe(0);
    expect(screen).not.toContain('{"messages"');
    // One status line, gone at the end.
    expect(screen).not.toContain('[ora]');
    expect(screen.slice(screen.indexOf('Exported '))).not.toContain('left');
    const { file_url: url, sha256 } = await onlyRun(database.sql);
    const path = fileURLToPath(url ?? '');
    expect(path.startsWith(`${box.state}/exports/`)).toBe(true);
    expect(screen).toContain(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const bytes = await readFile(path);
    expect(bytes.toString()).toBe(expected);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
  });

  test('gets the data itself when --output - says so', async () => {
    const { exitCode, screen } = await inTerminal(['export', '--limit', '1', '--output', '-']);
    expect(exitCode).toBe(0);
    expect(screen).toContain(expected.slice(0, 60));
  });
});

function inTerminal(args: readonly string[]): Promise<{ exitCode: number; screen: string }> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [program, ...args], {
      cols: 200,
      rows: 50,
      cwd: box.directory,
      env: { ...box.env, TERM: 'xterm', DATABASE_URL: database.url },
    });
    let screen = '';
    terminal.onData((data) => (screen += data));
    terminal.onExit(({ exitCode }) => resolve({ exitCode, screen }));
  });
}

const hasPython = (() => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: reading exports with another JSON parser needs python3.\n');
    return false;
  }
})();

test.runIf(hasPython)('Python reads the same conversations, line by line', async () => {
  await writeFile(
    box.path('read.py'),
    [
      'import json, sys',
      'text = sys.stdin.buffer.read().decode("utf-8")',
      'rows = [json.loads(line) for line in text.splitlines()]',
      'print(len(rows), sum(len(m["content"]) for row in rows for m in row["messages"]))',
    ].join('\n'),
  );
  const { exitCode, stdout } = await box.shell('"$@" | python3 read.py', ['export']);
  expect(exitCode).toBe(0);
  expect(stdout).toBe(`${CONVERSATIONS} ${CONVERSATIONS * 2 * 4_000}\n`);
});
