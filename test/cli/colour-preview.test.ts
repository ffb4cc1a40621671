import { Chalk } from 'chalk';
import { stringify } from 'csv-stringify/sync';
import { describe, expect, it } from 'vitest';

import { colourPreview } from '../../src/cli/colour-preview.js';
import { HOSTILE_TEXTS } from '../support/conversations.js';

const coloured = new Chalk({ level: 1 });
const plain = new Chalk({ level: 0 });

/** Control characters other than line feeds, without the colours. */
function controls(text: string): string[] {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\u001b\[3[0-9]m/g, '').match(/(?!\n)\p{Cc}/gu) ?? [];
}

describe('JSON on a terminal', () => {
  it('tells keys, texts, numbers and words apart', () => {
    expect(colourPreview('{"a":"b","c":[-1.5e+3,true,null]}\n', 'jsonl', coloured)).toBe(
      `{${coloured.cyan('"a"')}:${coloured.green('"b"')},${coloured.cyan('"c"')}:[${coloured.yellow('-1.5e+3')},${coloured.magenta('true')},${coloured.magenta('null')}]}\n`,
    );
  });

  it('sees no tokens inside of a text', () => {
    const text = JSON.stringify('true 1 "quoted" null \\');
    expect(colourPreview(text, 'json', coloured)).toBe(coloured.green(text));
  });

  it('stays as it is without colours', () => {
    const text = '{\n  "a": "b",\n  "c": [1, false]\n}\n';
    expect(colourPreview(text, 'json', plain)).toBe(text);
  });

  it('never lets a control character through', () => {
    for (const extension of ['jsonl', 'md'])
      for (const text of HOSTILE_TEXTS)
        expect(controls(colourPreview(text, extension, coloured))).toEqual([]);
  });
});

describe('CSV on a terminal', () => {
  const table = (rows: readonly (readonly string[])[]): string[] =>
    colourPreview(
      `\u{feff}${stringify(rows as string[][], { record_delimiter: 'windows' })}`,
      'csv',
      plain,
    ).split('\n');

  it('is a table with its columns in line', () => {
    expect(
      table([
        ['id', 'role', 'content'],
        ['a', 'user', 'x, "y"'],
        ['long id', '', 'z'],
      ]),
    ).toEqual(['id       role  content', 'a        user  x, "y"', 'long id        z', '']);
  });

  it('shows ten rows, and forty characters of a cell', () => {
    const rows = table([
      ['id', 'n'],
      ...Array.from({ length: 12 }, (_, index) => ['y'.repeat(50), String(index)]),
    ]);
    expect(rows).toHaveLength(12);
    expect(rows[1]).toBe(`${'y'.repeat(39)}…  0`);
  });

  it('shows cells of any size', () => {
    const csv = `a,b\r\n"${'""'.repeat(1_000_000)}",${'z'.repeat(10_000_000)}\r\n`;
    const [, row] = colourPreview(csv, 'csv', plain).split('\n');
    expect(row).toBe(`${'"'.repeat(39)}…  ${'z'.repeat(39)}…`);
  });

  it('keeps a cell with lines on one', () => {
    expect(
      table([
        ['a', 'b'],
        ['x\r\ny', 'z'],
      ]),
    ).toHaveLength(3);
  });
});
