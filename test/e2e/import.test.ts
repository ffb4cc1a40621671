import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const debt = fileURLToPath(new URL('../../fixtures/demo/debt.jsonl', import.meta.url));
const income = fileURLToPath(new URL('../../fixtures/demo/income.jsonl', import.meta.url));

let database: TestDatabase;
let box: Sandbox;

beforeEach(async () => {
  database = await createDatabase();
  box = await makeSandbox(database);
});

afterEach(async () => {
  await database.drop();
  await box.remove();
});

const count = async (): Promise<number> => (await database.sql`select from conversations`).length;
const linesOf = async (path: string): Promise<string[]> =>
  (await readFile(path, 'utf8')).trimEnd().split('\n');

describe('import', () => {
  test('loads several files, and a second time changes nothing', async () => {
    const total = (await linesOf(debt)).length + (await linesOf(income)).length;
    const first = await box.lora(['import', debt, income]);
    expect(first).toMatchObject({ exitCode: 0, stdout: '' });
    expect(first.stderr).toMatch(/debt\.jsonl: \d+ conversations \(\d+ turns\): \d+ new, 0 changed/);
    expect(await count()).toBe(total);
    const before = await database.sql`select c::text from conversations c order by 1`;
    const second = await box.lora(['import', debt, income, '--json']);
    expect(second.exitCode).toBe(0);
    for (const line of second.stdout.trimEnd().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({ inserted: 0, updated: 0 });
    }
    expect(await database.sql`select c::text from conversations c order by 1`).toEqual(before);
  });

  test('takes gzip and standard input', async () => {
    const bytes = await readFile(debt);
    await writeFile(box.path('debt.gz'), gzipSync(bytes));
    expect((await box.lora(['import', 'debt.gz'])).exitCode).toBe(0);
    const total = await count();
    expect(total).toBe((await linesOf(debt)).length);
    const piped = await box.lora(['import', '-', '--json'], { input: bytes });
    expect(piped.exitCode).toBe(0);
    expect(JSON.parse(piped.stdout)).toMatchObject({ name: 'standard input', inserted: 0, unchanged: total });
  });

  test('names the file and the line that is wrong, and loads nothing of that file', async () => {
    const lines = await linesOf(debt);
    lines.splice(4, 0, '{"conversation_id": "x", "turns": [');
    await writeFile(box.path('broken.jsonl'), lines.join('\n'));
    const { exitCode, stdout, stderr } = await box.lora(['import', 'broken.jsonl', '--json']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 23, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({
      kind: 'E_DATA',
      message: expect.stringMatching(/broken\.jsonl.*\b5\b/),
    });
    expect(await count()).toBe(0);
  });

  test('stops at a file that is missing before it loads the others', async () => {
    const { exitCode } = await box.lora(['import', debt, 'absent.jsonl']);
    expect(exitCode).toBe(2);
    expect(await count()).toBe(0);
  });

  test('gives back what it was given: export, import elsewhere, export is the same file', async () => {
    await box.lora(['import', debt]);
    const first = await box.lora(['export', '--scope', 'all']);
    const elsewhere = await createDatabase();
    try {
      const loaded = await box.lora(['import', '-'], { input: first.stdout, database: elsewhere });
      expect(loaded.exitCode).toBe(0);
      const second = await box.lora(['export', '--scope', 'all'], { database: elsewhere });
      expect(messagesOf(second.stdout)).toEqual(messagesOf(first.stdout));
    } finally {
      await elsewhere.drop();
    }
  });
});

function messagesOf(jsonl: string): string[] {
  return jsonl
    .trimEnd()
    .split('\n')
    .map((line) => JSON.stringify((JSON.parse(line) as { messages: unknown }).messages))
    .sort();
}
