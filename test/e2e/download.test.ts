import { createHash, randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { spawn } from '@lydell/node-pty';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, program, type Ended, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { seed } from '../support/seed.js';

const ANNA = '11111111-1111-4111-8111-111111111111';
const BERT = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;
let box: Sandbox;

beforeAll(async () => {
  database = await createDatabase();
  // 13 MB: more than a pipe holds, more than a chunk, and more than R93 speaks of.
  await seed(database.sql, 400, 16_000);
});

afterAll(() => database.drop());

beforeEach(async () => {
  box = await makeSandbox(database);
});

afterEach(async () => {
  await box.remove();
  await database.sql`delete from export_logs`;
});

interface Stored {
  readonly id: string;
  readonly path: string;
  readonly name: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

const inState = { LORA_EXPORT_USER_ID: ANNA };

/** An export of Anna's into the managed directory, which only a terminal gets without `--output`. */
async function store(args: readonly string[] = []): Promise<Stored> {
  const { exitCode, screen } = await inTerminal(['export', ...args]);
  expect(exitCode, screen).toBe(0);
  const [row] = await database.sql<{ export_id: string; file_url: string }[]>`
    select export_id, file_url from export_logs order by created_at desc limit 1`;
  const path = fileURLToPath(row?.file_url ?? '');
  const bytes = await readFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { id: row?.export_id ?? '', path, name: path.slice(path.lastIndexOf('/') + 1), bytes, sha256 };
}

const download = (id: string, args: readonly string[] = [], user = ANNA): Promise<Ended> =>
  box.lora(['download', id, ...args], { env: { LORA_EXPORT_USER_ID: user } });

describe('download', () => {
  test('writes the stored bytes to standard output, and about them to standard error', async () => {
    const { id, bytes, sha256 } = await store();
    expect(bytes.length).toBeGreaterThan(12_000_000);
    const { exitCode, stdout, stderr } = await download(id);
    expect(exitCode).toBe(0);
    expect(stdout === bytes.toString()).toBe(true);
    expect(stderr).toContain(`Downloaded export ${id}: 12.3 MiB, as it was written.`);
    expect(stderr).toContain(sha256);
  });

  test('writes a file that only its owner can read, under the name that was typed', async () => {
    const { id, bytes } = await store(['--limit', '3']);
    const { exitCode, stdout } = await download(id, ['--output', 'copy.jsonl']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
    expect(await box.files()).toEqual(['copy.jsonl']);
    expect(await readFile(box.path('copy.jsonl'))).toEqual(bytes);
    expect((await lstat(box.path('copy.jsonl'))).mode & 0o777).toBe(0o600);
  });

  test('keeps the name of the file in a directory, compressed as it was stored', async () => {
    const { id, name, bytes } = await store(['--gzip', '--limit', '3']);
    await mkdir(box.path('training'));
    for (const [index, output] of ['training', 'training/'].entries()) {
      const { exitCode } = await download(id, ['-o', output, ...(index === 0 ? [] : ['--force'])]);
      expect(exitCode).toBe(0);
    }
    const copy = await readFile(box.path(`training/${name}`));
    expect(copy).toEqual(bytes);
    expect(gunzipSync(copy).toString().split('\n')).toHaveLength(4);
  });

  test('says what a program wants to know with --json: on standard output unless the file is there', async () => {
    const { id, name, bytes, sha256 } = await store(['--limit', '3']);
    const facts = { export_id: id, name, media_type: 'application/x-ndjson', size: bytes.length, sha256 };
    const toFile = await download(id, ['-o', 'copy.jsonl', '--json']);
    expect(JSON.parse(toFile.stdout)).toEqual({ ...facts, file: box.path('copy.jsonl') });
    const toStdout = await download(id, ['--json']);
    expect(toStdout.stdout).toBe(bytes.toString());
    expect(JSON.parse(toStdout.stderr)).toEqual({ ...facts, file: null });
  });

  test('on a terminal takes the name of the file, and replaces nothing', async () => {
    const { id, name, bytes } = await store(['--limit', '3']);
    const first = await inTerminal(['download', id]);
    expect(first.exitCode).toBe(0);
    expect(first.screen).not.toContain('{"messages"');
    expect(await readFile(box.path(name))).toEqual(bytes);
    await writeFile(box.path(name), 'mine');
    const second = await inTerminal(['download', id]);
    expect(second.exitCode).toBe(25);
    expect(await readFile(box.path(name), 'utf8')).toBe('mine');
  });

  test('replaces a file with --force only, and neither a link nor a directory at all', async () => {
    const { id, bytes } = await store(['--limit', '3']);
    await writeFile(box.path('taken'), 'mine');
    await writeFile(box.path('victim'), 'theirs');
    await symlink('victim', box.path('link'));
    expect((await download(id, ['-o', 'taken'])).exitCode).toBe(25);
    expect(await readFile(box.path('taken'), 'utf8')).toBe('mine');
    expect((await download(id, ['-o', 'link', '--force'])).exitCode).toBe(25);
    expect(await readFile(box.path('victim'), 'utf8')).toBe('theirs');
    expect((await download(id, ['-o', 'taken', '--force'])).exitCode).toBe(0);
    expect(await readFile(box.path('taken'))).toEqual(bytes);
  });

  test('finds out what is wrong with the path before it asks the database', async () => {
    const elsewhere = { url: 'postgres://nobody@127.0.0.1:1/none?connect_timeout=1' };
    await writeFile(box.path('taken'), '');
    for (const [output, exitCode] of [
      ['taken', 25],
      ['missing/copy.jsonl', 24],
      ['s3://bucket/copy.jsonl', 2],
    ] as const) {
      const ended = await box.lora(['download', randomUUID(), '-o', output], { database: elsewhere });
      expect(ended.exitCode).toBe(exitCode);
    }
  });

  test('gives not a byte of a file that is not the one that was written', async () => {
    const { id, path } = await store();
    await truncate(path, 10_000_000);
    const cut = await download(id);
    expect(cut).toMatchObject({ exitCode: 23, stdout: '' });
    expect(cut.stderr).toContain('is not the one that was written');
    const { id: other, path: changed, bytes } = await store();
    bytes[bytes.length - 2] = 0x20;
    await writeFile(changed, bytes);
    expect(await download(other)).toMatchObject({ exitCode: 23, stdout: '' });
    expect(await download(other, ['-o', 'copy.jsonl'])).toMatchObject({ exitCode: 23 });
    expect(await box.files()).toEqual([]);
  });

  test("of somebody else's export and of none ends alike, with 26", async () => {
    const { id } = await store(['--limit', '3']);
    const absent = randomUUID();
    const [theirs, none] = [await download(id, [], BERT), await download(absent, [], BERT)];
    expect(theirs).toMatchObject({ exitCode: 26, stdout: '' });
    expect(none.stderr.replaceAll(absent, id)).toBe(theirs.stderr);
    expect(none.exitCode).toBe(26);
  });

  test('of an expired export ends with 27, and says so to programs', async () => {
    const { id } = await store(['--limit', '3']);
    await database.sql`update export_logs set expires_at = now() - interval '1 minute'`;
    const { exitCode, stdout, stderr } = await download(id, ['--json']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 27, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({
      code: 27,
      kind: 'E_GONE',
      export_id: id,
      message: expect.stringMatching(/expired at/),
    });
    const [row] = await database.sql`select status from export_logs`;
    expect(row?.['status']).toBe('expired');
  });

  test('shows the error of a failed export harmlessly', async () => {
    const { id } = await store(['--limit', '3']);
    await database.sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      await tx`update export_logs set status = 'failed', error_message = ${'\u001b[2J\u202egone'}`;
    });
    const { exitCode, stderr } = await download(id);
    expect(exitCode).toBe(27);
    expect(stderr).toContain('\\u{1b}[2J\\u{202e}gone');
  });

  test('read by head alone ends silently with 141', async () => {
    const { id, bytes } = await store();
    const { exitCode, stdout, stderr } = await box.shell('"$@" | head -c 5', ['download', id], {
      env: inState,
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 141, stderr: '' });
    expect(stdout).toBe(bytes.subarray(0, 5).toString());
  });

  test('is stopped by Ctrl-C while nobody reads', async () => {
    const { id } = await store();
    const run = box.start(['download', id], { env: inState, reads: false });
    await new Promise((resolve) => run.child.stdout?.once('readable', resolve));
    run.child.kill('SIGINT');
    const { exitCode, stderr } = await run.ended;
    expect(exitCode, stderr).toBe(130);
  });
});

function inTerminal(args: readonly string[]): Promise<{ exitCode: number; screen: string }> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [program, ...args], {
      cols: 200,
      rows: 50,
      cwd: box.directory,
      env: { ...box.env, ...inState, TERM: 'xterm', DATABASE_URL: database.url },
    });
    let screen = '';
    terminal.onData((data) => (screen += data));
    terminal.onExit(({ exitCode }) => resolve({ exitCode, screen }));
  });
}
