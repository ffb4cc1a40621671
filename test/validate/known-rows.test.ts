import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import { targets } from '../../src/targets/all.js';
import type { Example, Message, RowShape, Target } from '../../src/targets/target.js';
import { createValidator, type ValidationSummary } from '../../src/validate.js';
import { createKnownRows } from '../../src/validate/known-rows.js';
import { HOSTILE_TEXTS } from '../support/conversations.js';

const shapes = Object.entries(targets as Record<string, Target>).flatMap(([name, target]) =>
  Object.entries(target.shapes).map(
    ([shape, rows]) => [`${name} ${shape}`, { name, target, shape, rows }] as const,
  ),
);

interface Shape {
  readonly name: string;
  readonly target: Target;
  readonly shape: string;
  readonly rows: RowShape;
}

function rowOf({ rows }: Shape, texts: readonly string[], system: string | null = null): Buffer {
  const messages = texts.map((text, index): Message => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: Text.of(text),
  }));
  const example: Example = { system: system === null ? null : Text.of(system), messages, tools: null };
  const out = new ByteWriter();
  rows.write(example, out);
  return Buffer.from(out.view());
}

/** @param remembers false: every row is parsed, as when tokens are counted */
function verdict({ name, target, shape }: Shape, bytes: Uint8Array, remembers: boolean): ValidationSummary {
  const validator = createValidator({
    target,
    targetName: name,
    shape,
    format: 'jsonl',
    bom: false,
    duplicates: false,
    countTokens: remembers ? undefined : () => 0,
  });
  validator.write(bytes);
  return validator.end();
}

const GOOD = ['What is a bond, in one sentence?', 'A loan to an issuer, with interest.'];

/** What goes wrong in writers; each makes another row of a good one. */
const MISTAKES: readonly (readonly [string, (row: string) => string])[] = [
  ['the last brace is missing', (row) => row.replace('}\n', '\n')],
  ['a bracket is missing', (row) => row.replace(/\](?=[^\]]*$)/, '')],
  ['there is one brace too many', (row) => row.replace('}\n', '}}\n')],
  ['a comma is missing', (row) => row.replace('","', '""')],
  ['a comma stands at the end', (row) => row.replace('}\n', ',}\n')],
  ['a quote is not escaped', (row) => row.replace('loan', 'lo"an')],
  ['a quote is lost', (row) => row.replace('interest."', 'interest.')],
  ['a backslash is not escaped', (row) => row.replace('loan', 'lo\\an')],
  ['a backslash stands before the closing quote', (row) => row.replace('interest."', 'interest.\\"')],
  ['a line break is not escaped', (row) => row.replace('loan', 'lo\nan')],
  ['a control character is not escaped', (row) => row.replace('loan', 'lo\u0007an')],
  ['a line separator is not escaped', (row) => row.replace('loan', 'lo\u2028an')],
  ['an escape is cut', (row) => row.replace('interest."', 'interest\\u002"')],
  ['half a surrogate pair is written', (row) => row.replace('loan', 'lo\\ud83dan')],
  ['a key stands twice', (row) => row.replace('{', '{"x":1,"x":1,')],
  ['two rows run together', (row) => row.replace('}\n', '}') + row],
  ['a text is a number', (row) => row.replace(/"A loan[^"]*"/, '7')],
  ['a text is missing', (row) => row.replace(/"A loan[^"]*"/, '')],
  ['a text is null', (row) => row.replace(/"A loan[^"]*"/, 'null')],
  ['a text is empty', (row) => row.replace(/A loan[^"]*/, '')],
  ['a text is blank', (row) => row.replace(/A loan[^"]*/, ' \\n\\t\u00a0')],
];

describe.each(shapes)('%s', (_name, shape) => {
  const good = rowOf(shape, GOOD);
  const many = Array.from({ length: 20 }, (_, index) =>
    rowOf(shape, [`Question ${index}`, `Answer ${index}`]),
  );

  it('is remembered by its form, whatever the texts are', () => {
    const { texts } = shape.rows;
    expect(texts).toBeDefined();
    if (texts === undefined) return;
    const { formOf } = createKnownRows(texts);
    const form = formOf(good.subarray(0, -1));
    expect(form).not.toBeNull();
    for (const text of ['x', '"quoted" \\ \n\u0001', 'é\u2028中\u{1f469}', 'x'.repeat(100_000)]) {
      expect(formOf(rowOf(shape, [text, text]).subarray(0, -1))).toBe(form);
    }
  });

  it.each(MISTAKES)('is still refused after many good ones when %s', (_what, mistake) => {
    const bad = Buffer.from(mistake(good.toString('utf8')));
    if (bad.equals(good)) return; // Not every shape has lists.
    const bytes = Buffer.concat([...many, good, bad, ...many]);
    const summary = verdict(shape, bytes, true);
    expect(summary).toEqual(verdict(shape, bytes, false));
    expect(summary.errors + summary.warnings).toBeGreaterThan(0);
  });

  it('is still refused after many good ones when it is not UTF-8', () => {
    const bad = Buffer.from(good);
    bad[bad.indexOf('loan')] = 0xff;
    const summary = verdict(shape, Buffer.concat([...many, good, bad]), true);
    expect(summary.byRule).toHaveProperty('not-utf8');
  });

  it('gets the same verdict as when every row is parsed, whatever becomes of its bytes', () => {
    const marks = Object.values(targets as Record<string, Target>).flatMap(({ reserved = [] }) => reserved);
    const text = fc.oneof(
      { weight: 5, arbitrary: fc.string({ minLength: 1, maxLength: 12 }) },
      fc.constantFrom('', ' ', '\n', '\u3000', '2025-10-29', '2025-10-29T10:00:00Z', '7', ...HOSTILE_TEXTS),
      fc.constantFrom(...marks).map((mark) => `a ${mark} b`),
    );
    const row = fc
      .tuple(fc.array(text, { minLength: 2, maxLength: 4 }), fc.option(text))
      // An odd number ends on a question, which some checks refuse.
      .filter(([texts]) => texts.length > 0)
      .map(([texts, system]) =>
        rowOf(shape, texts.length % 2 === 0 ? texts : texts.slice(1).concat(texts), system),
      );
    const edit = fc.tuple(
      fc.nat(),
      fc.nat({ max: 3 }),
      fc.oneof(
        fc.constantFrom(
          '"',
          '\\',
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          ' ',
          '\n',
          '\\u003c',
          '\\ud800',
          '\u2028',
          '\0',
        ),
        fc.constantFrom('"role":', '"content":', 'user', 'system', '"x":1,', '""', 'null', '\u0085', '\r'),
      ),
    );
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 5 }),
        fc.array(edit, { maxLength: 2 }),
        (rows, edits) => {
          let bytes = Buffer.concat([good, ...rows, ...rows]);
          for (const [place, removed, inserted] of edits) {
            const at = place % bytes.length;
            bytes = Buffer.concat([
              bytes.subarray(0, at),
              Buffer.from(inserted),
              bytes.subarray(at + removed),
            ]);
          }
          const after = Buffer.concat([good, ...rows, bytes, good]);
          expect(verdict(shape, after, true)).toEqual(verdict(shape, after, false));
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('the form of a row', () => {
  const { formOf } = createKnownRows({ keys: ['value'], marks: ['</s>'], readClosely: ['call'] });
  const form = (row: string): string | null => formOf(Buffer.from(row));

  it('holds everything but the texts', () => {
    expect(form('{"from":"gpt","value":"abc","n":1.50}')).toBe('{"from":"gpt","value":\u0001,"n":1.50}');
    expect(form('{"value":[["a","b"],["c"]],"from":"x"}')).toBe(
      '{"value":[[\u0001,\u0001],[\u0001]],"from":"x"}',
    );
    expect(form('{"value":{"from":"x"},"from":["y"]}')).toBe('{"value":{"from":"x"},"from":["y"]}');
    expect(form('{"value":""}')).toBe('{"value":""}');
  });

  it.each([
    ['a text that is blank', '{"value":" \\n"}'],
    ['a text that may be a time', '{"value":"2025-10-29"}'],
    ['a mark in a text', '{"value":"a</s>"}'],
    ['a mark that is escaped', '{"value":"a\\u003c/s>"}'],
    ['an escape that our writer does not make', '{"value":"a\\/s"}'],
    ['half a surrogate pair', '{"value":"a\\ud800"}'],
    ['a raw line separator', '{"value":"a\u2028"}'],
    ['a text that does not end', '{"value":"a'],
    ['a text that ends in half an escape', '{"value":"a\\'],
    ['a text in place of a key', '{"value":["a":1]}'],
    ['white space before a colon', '{"value" :"a"}'],
    ['white space before a comma', '{"value":"a" ,"x":1}'],
    ['a word that is not plain', '{"from":"g\\u0070t"}'],
    ['a word that is read closely', '{"from":"call","value":"a"}'],
    ['a line break between tokens', '{\n"value":"a"}'],
    ['lists nested too deep', `{"value":${'['.repeat(40)}"a"${']'.repeat(40)}}`],
    ['a form that is too long', `{"x":"${'x'.repeat(10_000)}"}`],
    ['too many tokens', `[${'1,'.repeat(10_000)}1]`],
  ])('does not exist for %s', (_what, row) => {
    expect(form(row)).toBeNull();
  });
});
