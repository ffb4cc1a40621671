import { describe, expect, it, test } from 'vitest';

import { createValidator } from '../../src/validate.js';
import { against, errors, found, row, rows, validate } from './support.js';

const good = row(1);
const BOM = '\u{feff}';

describe('the bytes of a JSON Lines file', () => {
  test.each<[what: string, text: string, expected: string[]]>([
    ['two good rows', `${row(1)}\n${row(2)}\n`, []],
    ['a byte order mark', `${BOM}${good}\n`, ['1 error byte-order-mark']],
    ['a blank line in the middle', `${row(1)}\n\n${row(2)}\n`, ['2 error blank-line']],
    ['a line of spaces', `${row(1)}\n  \t\n${row(2)}\n`, ['2 error blank-line']],
    ['a second newline at the end', `${good}\n\n`, ['2 error blank-line']],
    ['no newline at the end', good, ['1 warning no-final-newline']],
    ['CR LF', `${good}\r\n`, ['1 warning carriage-return']],
    [
      'a raw line break in a text',
      good.replace('question', 'ques\ntion') + '\n',
      ['1 error raw-line-break', '2 error invalid-json'],
    ],
    [
      'a file that was cut off',
      `${row(1)}\n${row(2).slice(0, 40)}`,
      ['2 error cut-off', '2 warning no-final-newline'],
    ],
    ['a raw tab in a text', `${good.replace('question', 'ques\ttion')}\n`, ['1 error invalid-json']],
    ['two objects on a line', `${row(1)}${row(2)}\n`, ['1 error several-rows']],
    ['NaN', `{"messages":[],"metadata":{"quality_score":NaN}}\n`, ['1 error not-a-number']],
    ['Infinity', `{"metadata":{"quality_score": -Infinity}}\n`, ['1 error not-a-number']],
    [
      'half a surrogate pair',
      `${good.replace('question', '\\ud83d')}\n`,
      ['1 error lone-surrogate messages[0].content'],
    ],
    [
      'the other half',
      `${good.replace('question', '\\uDC00')}\n`,
      ['1 error lone-surrogate messages[0].content'],
    ],
    ['a whole pair', `${good.replace('question', '\\ud83d\\ude00')}\n`, []],
    ['an escaped backslash before u', `${good.replace('question', '\\\\ud83d')}\n`, []],
    [
      'half a pair in a key',
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"metadata":{"\\ud800":1}}\n',
      ['1 error lone-surrogate metadata["\\ud800"]'],
    ],
    ['the same key twice', `{"messages":1,${good.slice(1)}\n`, ['1 error duplicate-key messages']],
    [
      'the same key twice in a message',
      `${good.replace('"role":"user"', '"role":"user","r\\u006fle":"user"')}\n`,
      ['1 error duplicate-key messages[0].role'],
    ],
    [
      'a whole number beyond 2^53',
      `${good.slice(0, -1)},"metadata":{"n":9007199254740993}}\n`,
      ['1 warning big-integer metadata.n'],
    ],
    ['2^53 - 1', `${good.slice(0, -1)},"metadata":{"n":9007199254740991}}\n`, []],
    ['many digits behind a point', `${good.slice(0, -1)},"metadata":{"n":0.12345678901234567890}}\n`, []],
    [
      'U+2028 as such',
      `${good.replace('question', 'a\u2028b')}\n`,
      ['1 warning line-separator messages[0].content'],
    ],
    ['a JSON array', `[${good}]\n`, ['1 error json-array']],
    ['JSON over several lines', `${JSON.stringify(JSON.parse(good), null, 2)}\n`, ['1 error not-json-lines']],
    ['a scalar', `7\n`, ['1 error not-an-object']],
    ['nothing', '', ['file error empty-file']],
    ['one line feed', '\n', ['1 error blank-line', 'file error empty-file']],
    ['deep nesting', `{"messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`, ['1 error too-deep']],
  ])('%s', (_, text, expected) => {
    expect(found(validate(text, { format: 'jsonl' }))).toEqual(expected);
  });

  it('names lines that are not UTF-8, and files in UTF-16', () => {
    const latin = Buffer.concat([
      Buffer.from(`${row(1)}\n`),
      Buffer.from(row('\u00e9'), 'latin1'),
      Buffer.from('\n'),
    ]);
    expect(found(validate(latin, { format: 'jsonl' }))).toEqual(['2 error not-utf8']);
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(rows(3), 'utf16le')]);
    expect(found(validate(utf16, { format: 'jsonl' }))).toEqual([
      '1 error not-utf8',
      'file error empty-file',
    ]);
  });

  it('keeps the words of the original checks', () => {
    expect(validate('').problems[0]?.message).toMatch(/^Empty output/);
    expect(validate('{\n', { format: 'jsonl' }).problems[0]?.message).toMatch(/^Invalid JSON/);
    expect(
      validate('{"a":1}\n')
        .problems.map(({ message }) => message)
        .join(),
    ).toMatch(/messages/);
  });

  it('never quotes what a broken line says', () => {
    const { problems } = validate('{"messages": secret-word}\n', { format: 'jsonl' });
    expect(JSON.stringify(problems)).not.toContain('secret');
  });
});

describe('readers that differ', () => {
  test.each<[target: string, text: string, expected: string[]]>([
    ['azure', BOM + rows(10), []],
    ['azure', rows(10), ['1 error missing-bom']],
    ['openai', BOM + rows(10), ['1 error byte-order-mark']],
    ['trl', BOM + rows(10), []],
    ['trl', `${row(1)}\n\n${row(2)}\n`, []],
    ['fireworks', `${rows(3)}\n`, []],
    ['fireworks', BOM + rows(3), ['1 error byte-order-mark']],
    ['together', `${rows(3)}\n`, ['4 error blank-line']],
  ])('%s', (target, text, expected) => {
    expect(errors(validate(text, against(target)))).toEqual(expected);
  });

  it('lets a file for Azure go without the mark when told so, and with it', () => {
    for (const text of [rows(10), BOM + rows(10)]) {
      expect(found(validate(text, { ...against('azure'), bom: false }))).toEqual([]);
    }
  });

  it('wants .jsonl at the end of the name where the service looks at it', () => {
    expect(found(validate(rows(10), { ...against('openai'), name: 'a.txt' }))).toEqual([
      'file error file-name',
    ]);
    expect(found(validate(rows(10), { ...against('openai'), name: 'a.jsonl' }))).toEqual([]);
    expect(errors(validate(rows(10), { ...against('together'), name: 'a.txt' }))).toEqual([]);
  });
});

describe('the file as a whole', () => {
  it('tells of limits apart from errors', () => {
    const summary = validate(rows(9), against('openai'));
    expect(summary).toMatchObject({ errors: 0, rows: 9, valid: false });
    expect(summary.limits.map(({ rule }) => rule)).toEqual(['too-few-rows']);
    expect(validate(rows(10), against('openai'))).toMatchObject({ valid: true, limits: [] });
  });

  it('counts rows and bytes against the most', () => {
    const openai = against('openai');
    const target = { ...openai.target!, limits: { maxRows: 2, maxBytes: 100 } };
    const { limits } = validate(rows(3), { ...openai, target });
    expect(limits.map(({ rule }) => rule)).toEqual(['too-many-rows', 'too-large']);
  });

  it('counts tokens when handed a way to', () => {
    const openai = against('openai');
    const target = { ...openai.target!, limits: { maxTokens: 17 } };
    const options = { ...openai, target, countTokens: (text: string) => text.length };
    expect(found(validate(rows(1), options))).toEqual(['1 warning over-token-limit']);
    expect(
      found(validate(rows(1), { ...options, target: { ...target, limits: { maxTokens: 18 } } })),
    ).toEqual([]);
  });

  it('takes an empty file where that was asked for', () => {
    expect(validate('', { ...against('openai'), allowEmpty: true })).toMatchObject({ valid: true, rows: 0 });
  });

  it('refuses a line that is too long, and reads on behind it', () => {
    const text = `${row(1)}\n${row('x'.repeat(5000))}\n{}\n`;
    const summary = validate(text, { format: 'jsonl', maxRowBytes: 1000 });
    expect(errors(summary)).toEqual(['2 error line-too-long', '3 error missing-key messages']);
    expect(summary.rows).toBe(3);
  });

  it('finds the same whatever the size of the pieces, which may be overwritten afterwards', () => {
    const text = Buffer.from(`${BOM}${row(1)}\n\n${row('\u{1f600}')}\n${row(2).slice(0, 30)}\n${row(1)}\n`);
    const whole = validate(text, { format: 'jsonl' });
    for (const size of [1, 2, 3, 7, 64]) {
      const validator = createValidator({ format: 'jsonl' });
      const memory = Buffer.alloc(size);
      for (let from = 0; from < text.length; from += size) {
        const length = text.copy(memory, 0, from, from + size);
        validator.write(memory.subarray(0, length));
        memory.fill(0x7b);
      }
      expect(validator.end()).toEqual(whole);
    }
  });

  it('keeps the first thousand problems, counts all, and keeps room for rules that come late', () => {
    let heard = 0;
    const summary = validate('{}\n'.repeat(3000) + '\n', { format: 'jsonl', onProblem: () => void heard++ });
    expect(summary.problems.filter(({ rule }) => rule === 'missing-key')).toHaveLength(1000);
    expect(summary.byRule['missing-key']).toEqual({ errors: 3000, warnings: 0, firstLine: 1 });
    expect(found(summary)).toContain('3001 error blank-line');
    expect(heard).toBe(3001);
  });

  it('makes control characters of foreign keys visible', () => {
    const { problems } = validate('{"\\u001b[2J":1}\n', { format: 'jsonl' });
    expect(JSON.stringify(problems)).not.toContain('\\u001b');
  });
});

describe('shapes of a target', () => {
  const pair = '{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}';

  it('takes the shape of the first row, and refuses another one behind it', () => {
    const summary = validate(`${pair}\n${row(1)}\n`, against('trl'));
    expect(summary.shape).toBe('prompt-completion');
    expect(errors(summary)).toContain('2 error mixed-shapes');
  });

  it('holds a row that fits none against the nearest', () => {
    const { problems } = validate('{"prompt":[{"role":"user","content":"q"}]}\n', against('trl'));
    expect(problems.map(({ path }) => path)).toContain('completion');
    expect(problems.map(({ path }) => path)).not.toContain('messages');
  });

  it('holds every row against the shape that was named', () => {
    expect(errors(validate(`${pair}\n`, { ...against('trl'), shape: 'messages' })).join()).toMatch(
      /messages/,
    );
    expect(() => createValidator({ ...against('trl'), shape: 'letters' })).toThrow(/no shape "letters"/);
  });
});
