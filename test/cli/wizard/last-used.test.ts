import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { readLastUsed, writeLastUsed, type LastUsedPlace } from '../../../src/cli/wizard/last-used.js';
import type { ExportRequestInput } from '../../../src/request.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** A state directory that does not exist yet, and what is noted about it. */
async function aPlace(): Promise<LastUsedPlace & { readonly notes: string[]; readonly path: string }> {
  const stateDirectory = join(await temporaryDirectory(), 'state');
  const notes: string[] = [];
  const note = (text: string): number => notes.push(text);
  return {
    stateDirectory,
    uid: process.getuid?.() ?? null,
    note,
    notes,
    path: join(stateDirectory, 'last-used.json'),
  };
}

it('knows nothing at first, without a word', async () => {
  const place = await aPlace();
  expect(readLastUsed(place)).toBeNull();
  expect(place.notes).toEqual([]);
});

it('keeps what was exported and how, but neither where nor for whom', async () => {
  const place = await aPlace();
  await writeLastUsed(
    {
      scope: 'filtered',
      filters: { tier: ['scenario'], qualityScoreMin: 8 },
      target: 'openai',
      rules: { 'ends-with-user': 'skip' },
      gzip: true,
      output: { kind: 'file', path: '/somewhere/private.jsonl' },
      force: true,
      schema: 'secret_schema',
      auditSchema: 'audit',
      userId: '11111111-1111-4111-8111-111111111111',
      allUsers: true,
    },
    place,
  );
  const expected = {
    scope: 'filtered',
    target: 'openai',
    filters: { tier: ['scenario'], qualityScoreMin: 8 },
    rules: { 'ends-with-user': 'skip' },
    gzip: true,
  };
  expect(readLastUsed(place)).toEqual(expected);
  expect(JSON.parse(await readFile(place.path, 'utf8'))).toEqual(expected);
  expect(place.notes).toEqual([]);
});

it('can be read by its owner alone, and is replaced whole', async () => {
  const place = await aPlace();
  await writeLastUsed({ scope: 'all', format: 'csv' }, place);
  const before = await stat(place.path);
  await writeLastUsed({ scope: 'all', format: 'json' }, place);
  const after = await stat(place.path);

  expect(after.mode & 0o777).toBe(0o600);
  expect(after.ino).not.toBe(before.ino);
  expect(await readdir(place.stateDirectory)).toEqual(['last-used.json']);
  expect(readLastUsed(place)).toEqual({ scope: 'all', format: 'json' });
});

it.runIf(process.getuid?.() === 0)(
  'leaves the state directory open to the account of the database server',
  async () => {
    const place = await aPlace();
    await writeLastUsed({ scope: 'all' }, place);
    expect((await stat(place.stateDirectory)).mode & 0o777).toBe(0o755);
  },
);

it('keeps a selection up to 1,000 ids, and of a larger one that there was one', async () => {
  const place = await aPlace();
  const ids = Array.from({ length: 1_000 }, (_, index) => `c_${index}`);
  await writeLastUsed({ scope: 'selected', ids }, place);
  expect(readLastUsed(place)).toEqual({ scope: 'selected', format: 'jsonl', ids });

  await writeLastUsed({ scope: 'selected', ids: [...ids, 'one more'] }, place);
  expect(readLastUsed(place)).toEqual({ scope: 'selected', format: 'jsonl' });
  expect(place.notes).toEqual([]);
});

it.each([
  ['is no JSON', '{"scope": "all"', 'is not valid JSON'],
  ['is no object', '[]', 'does not know'],
  ['has members of another version', '{"scope": "all", "colour": "red"}', 'does not know'],
  ['has a value that no longer exists', '{"scope": "everything"}', 'does not know'],
  ['says where to', '{"scope": "all", "output": {"kind": "stream"}}', 'does not know'],
  ['contradicts itself', '{"scope": "filtered"}', 'does not go together'],
  ['has more than anybody says', `{"ids": ["${'x'.repeat(1024 * 1024)}"]}`, 'is not a file of ours'],
])('is ignored with a note when it %s', async (_name, text, why) => {
  const place = await aPlace();
  await mkdir(place.stateDirectory);
  await writeFile(place.path, text);

  expect(readLastUsed(place)).toBeNull();
  expect(place.notes).toEqual([expect.stringContaining(why)]);
  expect(place.notes[0]).toMatch(/^What was used last is ignored: .*\.$/);
  expect(place.notes[0]).toContain(place.path);
});

it('is ignored with a note when it is no file, and writing it then fails no command', async () => {
  const place = await aPlace();
  await mkdir(place.path, { recursive: true });

  expect(readLastUsed(place)).toBeNull();
  await writeLastUsed({ scope: 'all' }, place);
  expect(place.notes).toEqual([
    expect.stringContaining('is not a file of ours'),
    expect.stringMatching(/^What was used now was not kept in .*: the system reported E\w+\.$/),
  ]);
  expect(await readdir(place.stateDirectory)).toEqual(['last-used.json']);
});

it('is not written where nothing can be, with a note', async () => {
  const place = await aPlace();
  await writeFile(place.stateDirectory, 'a file');
  await chmod(place.stateDirectory, 0o600);
  const request: ExportRequestInput = { scope: 'all' };
  await writeLastUsed(request, place);

  expect(readLastUsed(place)).toBeNull();
  expect(place.notes).toEqual([
    expect.stringContaining('Cannot write to the state directory'),
    'What was used last is ignored: the system reported ENOTDIR.',
  ]);
});
