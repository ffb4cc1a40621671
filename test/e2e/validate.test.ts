import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { row, rows } from '../validate/support.js';

let box: Sandbox;

beforeEach(async () => {
  box = await makeSandbox();
});

afterEach(() => box.remove());

describe('validate', () => {
  test('a good file is status 0, and one line says so', async () => {
    await writeFile(box.path('train.jsonl'), rows(10));
    const { exitCode, stdout, stderr } = await box.lora(['validate', 'train.jsonl', '--target', 'openai']);
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 0,
      stdout: 'train.jsonl: valid (jsonl, openai, messages); 10 rows, 0 errors, 0 warnings\n',
      stderr: '',
    });
  });

  test('an error names file, line, rule, place and what to do; status 23', async () => {
    await writeFile(box.path('train.jsonl'), `${rows(10)}${row(11).replace('"assistant"', '"bot"')}\n`);
    const { exitCode, stdout, stderr } = await box.lora(['validate', 'train.jsonl', '--target', 'openai']);
    expect(exitCode).toBe(23);
    expect(stdout).toMatch(/^train\.jsonl:11: error unknown-role at messages\[1\]\.role: .+\. Fix: .+$/m);
    expect(stdout).toMatch(/^ {2}unknown-role: 1, first on line 11$/m);
    expect(stderr).toMatch(/train\.jsonl does not keep the rules of openai/);
  });

  test('a broken limit of the file is status 29, errors beside it 23', async () => {
    await writeFile(box.path('few.jsonl'), rows(9));
    const { exitCode, stdout } = await box.lora(['validate', 'few.jsonl', '--target', 'openai']);
    expect(exitCode).toBe(29);
    expect(stdout).toMatch(/^few\.jsonl: error too-few-rows: /m);
    await writeFile(box.path('few.jsonl'), `${rows(8)}{}\n`);
    expect((await box.lora(['validate', 'few.jsonl', '--target', 'openai'])).exitCode).toBe(23);
  });

  test('warnings alone are status 0', async () => {
    const { exitCode, stdout } = await box.lora(['validate', '-'], { input: row(1) });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^standard input:1: warning no-final-newline/);
  });

  test('reads gzip, whatever the name, and standard input', async () => {
    const bytes = gzipSync(rows(10));
    await writeFile(box.path('train.jsonl.gz'), bytes);
    expect((await box.lora(['validate', 'train.jsonl.gz', '--target', 'together'])).exitCode).toBe(0);
    const piped = await box.lora(['validate', '-', '--target', 'together', '--json'], { input: bytes });
    expect(JSON.parse(piped.stdout)).toMatchObject({ file: 'standard input', rows: 10, valid: true });
  });

  test('damaged gzip and a missing file are errors of their own', async () => {
    await writeFile(box.path('cut.gz'), gzipSync(rows(1000)).subarray(0, 100));
    expect(await box.lora(['validate', 'cut.gz'])).toMatchObject({
      exitCode: 23,
      stderr: expect.stringMatching(/cut\.gz: the gzip data is cut short/),
    });
    expect(await box.lora(['validate', 'none.jsonl'])).toMatchObject({ exitCode: 2, stdout: '' });
    expect((await box.lora(['validate', box.directory])).exitCode).toBe(2);
  });

  test('shows twenty of a rule, and all when asked', async () => {
    await writeFile(box.path('a.jsonl'), '{}\n'.repeat(50));
    const lines = (text: string): number => text.match(/^a\.jsonl:\d+: /gm)?.length ?? 0;
    const some = await box.lora(['validate', 'a.jsonl']);
    expect(lines(some.stdout)).toBe(20);
    expect(some.stdout).toMatch(/missing-key: 50, first on line 1; 20 shown, --all prints the rest/);
    expect(lines((await box.lora(['validate', 'a.jsonl', '--all'])).stdout)).toBe(50);
  });

  test('prints one JSON object per file, and the error as JSON', async () => {
    await writeFile(box.path('good.jsonl'), rows(1));
    await writeFile(box.path('bad.jsonl'), '{}\n');
    const { exitCode, stdout, stderr } = await box.lora(['validate', 'good.jsonl', 'bad.jsonl', '--json']);
    expect(exitCode).toBe(23);
    const [good, bad] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(good).toMatchObject({
      file: 'good.jsonl',
      format: 'jsonl',
      target: null,
      rows: 1,
      problems: [],
      by_rule: {},
      limits: [],
      valid: true,
    });
    expect(bad).toMatchObject({
      file: 'bad.jsonl',
      valid: false,
      problems: [{ line: 1, rule: 'missing-key', path: 'messages', severity: 'error' }],
      by_rule: { 'missing-key': { errors: 1, warnings: 0, first_line: 1 } },
    });
    expect(JSON.parse(stderr)).toMatchObject({ code: 23, kind: 'E_DATA' });
  });

  test('a file for Azure may go without the mark', async () => {
    await writeFile(box.path('a.jsonl'), rows(10));
    expect((await box.lora(['validate', 'a.jsonl', '--target', 'azure'])).exitCode).toBe(23);
    expect((await box.lora(['validate', 'a.jsonl', '--target', 'azure', '--no-bom'])).exitCode).toBe(0);
  });

  test('a reader that leaves early ends it quietly', async () => {
    await writeFile(box.path('a.jsonl'), '{}\n'.repeat(200_000));
    const { exitCode, stderr } = await box.shell('"$@" | head -n 1 >/dev/null', [
      'validate',
      'a.jsonl',
      '--all',
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 141, stderr: '' });
  });

  test('standard input is named once, and a target must exist', async () => {
    expect((await box.lora(['validate', '-', '-'])).exitCode).toBe(2);
    expect((await box.lora(['validate', 'x', '--target', 'cohere'])).exitCode).toBe(2);
    await writeFile(box.path('a.jsonl'), rows(1));
    expect(await box.lora(['validate', 'a.jsonl', '--target', 'trl', '--shape', 'letters'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/Its shapes: messages/),
    });
  });
});
