import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openDownload, type Download, type DownloadOptions } from '../src/download.js';
import type { ExportRequestInput } from '../src/request.js';
import { MANAGED_MARKER } from '../src/sinks/file.js';
import { withAccess } from './support/access.js';
import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation, failureOf, HOST, runExport, type Exported } from './support/export.js';
import { listen } from './support/proxy.js';
import { addRecordedRun } from './support/recorded-run.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const ANNA = '11111111-1111-4111-8111-111111111111';
const BERT = '22222222-2222-4222-8222-222222222222';

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase('ready');
  await addConversation(database.sql, { conversation_id: 'a', tier: 'template' });
});
afterEach(() => database.drop());

/** An export of Anna's into the managed directory. */
function store(directory: string, request: ExportRequestInput = {}): Promise<Exported> {
  return runExport(database, { userId: ANNA, output: { kind: 'managed', directory }, ...request });
}

function download(
  exportId: string,
  directory: string,
  options: Partial<DownloadOptions> & { userId?: string | undefined } = {},
): Promise<Download> {
  const { userId = ANNA, ...rest } = options;
  return withAccess(database, userId, (access) =>
    openDownload(access, exportId, { directory, host: HOST, ...rest }),
  );
}

/** Changes what the log says, past its rules. */
async function forge(exportId: string, log: object, run: object = {}): Promise<void> {
  const { sql } = database;
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    if (Object.keys(log).length > 0)
      await tx`update export_logs set ${tx(log as Record<string, string>)} where export_id = ${exportId}`;
    if (Object.keys(run).length > 0)
      await tx`update export_runs set ${tx(run as Record<string, string>)} where export_id = ${exportId}`;
  });
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a download', () => {
  it.each([
    ['jsonl', 'application/x-ndjson', /^training-data-template-\d{4}-\d{2}-\d{2}-1\.jsonl$/],
    ['json', 'application/json', /-1\.json$/],
    ['csv', 'text/csv', /-1\.csv$/],
    ['markdown', 'text/markdown', /-1\.md$/],
  ] as const)(
    'gives the stored bytes of %s with all that a response needs',
    async (format, mediaType, name) => {
      const directory = await temporaryDirectory();
      const { result, bytes } = await store(directory, { format });
      const { stream, ...facts } = await download(result.exportId, directory);
      expect(facts).toEqual({
        exportId: result.exportId,
        fileName: expect.stringMatching(name),
        mediaType,
        size: bytes.length,
        sha256: sha256(bytes),
      });
      expect(await buffer(stream)).toEqual(bytes);
    },
  );

  it('gives what was written then, not what a query would find now', async () => {
    const directory = await temporaryDirectory();
    const { result, bytes } = await store(directory);
    await database.sql`delete from conversation_turns`;
    await database.sql`delete from conversations`;
    expect(await buffer((await download(result.exportId, directory)).stream)).toEqual(bytes);
  });

  it('leaves a compressed file compressed', async () => {
    const directory = await temporaryDirectory();
    const { result, text } = await store(directory, { gzip: true });
    const { stream, mediaType, fileName } = await download(result.exportId, directory);
    expect(mediaType).toBe('application/gzip');
    expect(fileName).toMatch(/\.jsonl\.gz$/);
    expect(gunzipSync(await buffer(stream)).toString()).toBe(text);
  });

  it('gives an empty file', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory, {
      allowEmpty: true,
      filters: { tier: ['none'] },
      scope: 'filtered',
    });
    expect(await buffer((await download(result.exportId, directory)).stream)).toHaveLength(0);
  });

  it('goes on to its end when the file is removed meanwhile', async () => {
    const directory = await temporaryDirectory();
    await addConversation(database.sql, { conversation_id: 'b' }, [
      ['user', 'x'.repeat(2_000_000)],
      ['assistant', 'y'],
    ]);
    const { result, bytes } = await store(directory);
    const { stream } = await download(result.exportId, directory);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) {
      if (chunks.length === 0) await rm(join(directory, result.exportId), { recursive: true });
      chunks.push(chunk as Buffer);
    }
    expect(chunks.length).toBeGreaterThan(1);
    expect(Buffer.concat(chunks)).toEqual(bytes);
  });

  it('serves a web route', async () => {
    const directory = await temporaryDirectory();
    const { result, text } = await store(directory);
    await using site = await serve(async (response) => {
      const { stream, mediaType, fileName, size } = await download(result.exportId, directory);
      response.writeHead(200, {
        'content-type': mediaType,
        'content-length': size,
        'content-disposition': `attachment; filename="${fileName}"`,
      });
      await pipeline(stream, response);
    });
    const response = await fetch(site.url);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="${basename(result.location)}"`,
    );
    expect(await response.text()).toBe(text);
  });
});

async function serve(
  answer: (response: import('node:http').ServerResponse) => Promise<void>,
): Promise<{ url: string } & AsyncDisposable> {
  const server: Server = createServer((_request, response) => void answer(response));
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

describe('a file that is not the one that was written', () => {
  const deeds = {
    'cut short': (path: string) => truncate(path, 10),
    emptied: (path: string) => truncate(path, 0),
    longer: (path: string) => appendFile(path, ' '),
    'changed in one byte': async (path: string) => {
      const bytes = await readFile(path);
      bytes[3] = (bytes[3] as number) ^ 1;
      await writeFile(path, bytes);
    },
    'replaced by another': async (path: string) => {
      await writeFile(`${path}.new`, Buffer.alloc((await readFile(path)).length, 'x'));
      await rename(`${path}.new`, path);
    },
  };

  it.each(Object.keys(deeds) as (keyof typeof deeds)[])('is refused: %s', async (deed) => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    await deeds[deed](result.location);
    const error = await failureOf(download(result.exportId, directory), 'E_DATA');
    expect(error.message).toMatch(/is not the one that was written: its (size|checksum) differs/);
    expect(error.exportId).toBe(result.exportId);
  });

  it('is refused without a word about what was found, with which the log could be made to fit', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    const forgery = Buffer.alloc(result.size, 'x');
    await writeFile(result.location, forgery);
    const { message, hint } = await failureOf(download(result.exportId, directory), 'E_DATA');
    expect(`${message} ${hint}`).not.toContain(sha256(forgery));
    expect(`${message} ${hint}`).not.toContain(result.sha256);
  });

  it.each([
    ['no size', { file_size: null }, {}],
    ['no checksum', {}, { sha256: null }],
  ])('cannot be told from it, and is refused, when the log has %s', async (_what, log, run) => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    await forge(result.exportId, log, run);
    await failureOf(download(result.exportId, directory), 'E_DATA');
  });

  it('fails the stream at its end when it was changed after it was opened', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    const { stream } = await download(result.exportId, directory);
    await writeFile(result.location, Buffer.alloc(result.size, 'x'));
    await failureOf(buffer(stream), 'E_DATA');
  });
});

describe('an export without a file to give', () => {
  it.each([
    ['queued', {}, /is still queued/, /status .* --watch/],
    ['processing', { progress: 42 }, /it is at 42 %/, /status .* --watch/],
    ['failed', {}, /failed and has no file: no more space\.$/, /--like/],
    ['expired', {}, /expired at \d{4}-/, /--like/],
  ])('because it is %s', async (status, run, message, hint) => {
    const exportId = await addRecordedRun(database.sql, {
      userId: ANNA,
      status,
      run,
      errorMessage: 'no more space.',
      expiresIn: 1,
    });
    const error = await failureOf(download(exportId, await temporaryDirectory()), 'E_GONE');
    expect(error.exitStatus).toBe(27);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });

  it('because its time is over: it is marked expired, and its file left to cleanup', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    await forge(result.exportId, { expires_at: new Date(Date.now() - 3_600_000) });
    expect((await failureOf(download(result.exportId, directory), 'E_GONE')).message).toMatch(/expired at/);
    const [row] = await database.sql`select status from export_logs where export_id = ${result.exportId}`;
    expect(row?.['status']).toBe('expired');
    expect(await readdir(join(directory, result.exportId))).toHaveLength(1);
  });

  it('because it went to standard output', async () => {
    const { result } = await runExport(database, { userId: ANNA });
    const error = await failureOf(download(result.exportId, await temporaryDirectory()), 'E_GONE');
    expect(error.message).toMatch(/was written to standard output/);
  });

  it("because it is the user's own file: the message says where", async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'own.jsonl');
    const { result } = await runExport(database, { userId: ANNA, output: { kind: 'file', path } });
    expect((await failureOf(download(result.exportId, directory), 'E_GONE')).message).toContain(path);
  });

  it('because another program recorded it', async () => {
    const exportId = await addRecordedRun(database.sql, { userId: ANNA, status: 'completed', run: null });
    await failureOf(download(exportId, await temporaryDirectory()), 'E_GONE');
  });

  it('because it was removed: by cleanup, or by somebody', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    await rm(join(directory, result.exportId), { recursive: true });
    const gone = await failureOf(download(result.exportId, directory), 'E_GONE');
    expect(gone.message).toMatch(/somebody removed it/);
    await forge(result.exportId, {}, { file_deleted_at: new Date() });
    const removed = await failureOf(download(result.exportId, directory), 'E_GONE');
    expect(removed.message).toMatch(/it was removed at \d{4}-/);
  });

  it('because it lies on another machine, also where there is no export directory here', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    const missing = join(directory, 'missing');
    const error = await failureOf(download(result.exportId, missing, { host: 'green' }), 'E_GONE');
    expect(error.message).toContain(`not stored here but on ${HOST}`);
  });

  it('but whose directory is shared with the other machine is given', async () => {
    const directory = await temporaryDirectory();
    const { result, bytes } = await store(directory);
    const { stream } = await download(result.exportId, directory, { host: 'green' });
    expect(await buffer(stream)).toEqual(bytes);
  });

  it('because another export directory is in force: the message says which it was', async () => {
    const [directory, other] = [await temporaryDirectory(), await temporaryDirectory()];
    const { result } = await store(directory);
    const error = await failureOf(download(result.exportId, other), 'E_GONE');
    expect(error.message).toContain(join(directory, result.exportId));
    expect(error.hint).toContain('LORA_EXPORT_DIR');
  });
});

describe('whose export it is', () => {
  it.each(['plain', 'with users'])(
    'other and absent look the same, though the file is there: %s',
    async (kind) => {
      const directory = await temporaryDirectory();
      let [anna, bert] = [ANNA, BERT];
      if (kind === 'with users') {
        await applyAuthShim(database.sql);
        await applyMigrations(database.sql);
        [anna, bert] = [await addUser(database.sql), await addUser(database.sql)];
      }
      const exportId = await storeAs(anna, directory);
      (await download(exportId, directory, { userId: anna })).stream.destroy();
      for (const id of [exportId, randomUUID(), 'no-uuid']) {
        const error = await failureOf(download(id, directory, { userId: bert }), 'E_NOT_FOUND');
        expect(error.message).toBe(`Export not found: ${id}`);
        expect(error.exitStatus).toBe(26);
      }
    },
  );

  it('an overdue export of somebody else is not even marked', async () => {
    const exportId = await addRecordedRun(database.sql, { userId: ANNA, status: 'completed', expiresIn: -1 });
    await failureOf(download(exportId, await temporaryDirectory(), { userId: BERT }), 'E_NOT_FOUND');
    const [row] = await database.sql`select status from export_logs where export_id = ${exportId}`;
    expect(row?.['status']).toBe('completed');
  });
});

/** A completed export, as far as the log and the directory show, whoever may read conversations. */
async function storeAs(userId: string, directory: string): Promise<string> {
  const exportId = randomUUID();
  const bytes = Buffer.from('{"messages":[]}\n');
  const name = 'training-data-all-2025-10-29-1.jsonl';
  await mkdir(join(directory, exportId), { recursive: true });
  await writeFile(join(directory, MANAGED_MARKER), '');
  await writeFile(join(directory, exportId, name), bytes);
  return addRecordedRun(database.sql, {
    exportId,
    userId,
    status: 'completed',
    fileSize: bytes.length,
    expiresIn: 24,
    run: {
      host: HOST,
      sha256: sha256(bytes),
      storageKey: `${exportId}/${name}`,
      output: { kind: 'file', directory: join(directory, exportId), managed: true },
    },
  });
}

describe('a row that lies', () => {
  const secret = Buffer.from('the secret of somebody else\n');

  it('about where the file is leads nowhere: only the place that the export id gives is looked at', async () => {
    const directory = await temporaryDirectory();
    const outside = join(await temporaryDirectory(), 'training-data-all-2025-10-29-1.jsonl');
    await writeFile(outside, secret);
    const theirs = await storeAs(BERT, directory);
    const own = await storeAs(ANNA, directory);
    await rm(join(directory, own), { recursive: true });
    const lies = [
      outside,
      `file://${outside}`,
      `../${basename(dirname(outside))}/${basename(outside)}`,
      `${theirs}/training-data-all-2025-10-29-1.jsonl`,
      '/etc/passwd',
      '..',
      '%2e%2e/x',
      '',
      'x'.repeat(5_000),
    ];
    for (const lie of lies) {
      await forge(
        own,
        { file_url: lie, file_size: secret.length },
        {
          storage_key: lie,
          sha256: sha256(secret),
          output: { kind: 'file', managed: true, directory: join(directory, own), name: lie },
        },
      );
      await failureOf(download(own, directory), 'E_GONE');
    }
  });

  it('in any member gives an error of ours', async () => {
    const directory = await temporaryDirectory();
    const exportId = await storeAs(ANNA, directory);
    await rm(join(directory, exportId), { recursive: true });
    const lies = [
      null,
      7,
      [],
      'text',
      { kind: 7 },
      { directory: 7, kind: 'file' },
      { directory: '\u001b[2J' },
    ];
    for (const lie of lies) {
      await database.sql`
        update export_runs set output = ${JSON.stringify(lie)}::text::jsonb where export_id = ${exportId}`;
      await failureOf(download(exportId, directory), 'E_GONE');
    }
  });

  it.runIf(process.platform !== 'win32')('finds no link in the place of the file', async () => {
    const directory = await temporaryDirectory();
    const outside = join(await temporaryDirectory(), 'secret');
    await writeFile(outside, secret);
    const { result } = await store(directory);
    await rm(result.location);
    await symlink(outside, result.location);
    await forge(result.exportId, { file_size: secret.length }, { sha256: sha256(secret) });
    await failureOf(download(result.exportId, directory), 'E_OUTPUT');
  });

  it.runIf(process.platform !== 'win32')('finds no link in the place of the directory', async () => {
    const directory = await temporaryDirectory();
    const { result } = await store(directory);
    const moved = join(await temporaryDirectory(), 'moved');
    await rename(join(directory, result.exportId), moved);
    await symlink(moved, join(directory, result.exportId));
    await failureOf(download(result.exportId, directory), 'E_OUTPUT');
  });
});

it.runIf(process.getuid?.() !== 0)('says that a file may not be read', async () => {
  const directory = await temporaryDirectory();
  const { result } = await store(directory);
  await chmod(result.location, 0o000);
  const error = await failureOf(download(result.exportId, directory), 'E_OUTPUT');
  expect(error.message).toContain('EACCES');
});

it('wants a directory that exports are stored in', async () => {
  const directory = await temporaryDirectory();
  const exportId = await storeAs(ANNA, directory);
  await rm(join(directory, MANAGED_MARKER));
  await failureOf(download(exportId, directory), 'E_USAGE');
});
