import { stripVTControlCharacters } from 'node:util';
import { Chalk } from 'chalk';
import { describe, expect, it } from 'vitest';
import { widthOf } from '../../../src/cli/wizard/fit.js';
import { previewLines } from '../../../src/cli/wizard/preview-lines.js';
import { styleFor } from '../../../src/cli/wizard/style.js';

const { show } = styleFor({ env: { LANG: 'C.UTF-8' }, platform: 'linux' });
const look = { columns: 40, chalk: new Chalk({ level: 0 }), show };

describe('previewLines', () => {
  it('shows every character of JSON Lines, in lines that fit', () => {
    const text = `${JSON.stringify({ messages: 'x y '.repeat(100) })}\n${JSON.stringify({ b: 2 })}\n`;
    const lines = previewLines(text, 'jsonl', look);
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(40);
    expect(lines.join('')).toBe(text.replaceAll('\n', ''));
  });

  it('colours without changing the text', () => {
    const text = '{"a":"b","n":1,"t":true}\n';
    const [line = ''] = previewLines(text, 'json', { ...look, chalk: new Chalk({ level: 1 }) });
    expect(line).toContain('\u001b[');
    expect(stripVTControlCharacters(line)).toBe(text.trimEnd());
  });

  it('makes control characters visible', () => {
    expect(previewLines('# a \u001b[31m\n', 'markdown', look)).toEqual([String.raw`# a \u{1b}[31m`]);
  });

  it('puts a wide table in parts that fit, ten rows at most, each with its number', () => {
    const names = Array.from({ length: 12 }, (_, index) => `column_${index + 1}`);
    const rows = Array.from({ length: 25 }, (_, row) => names.map((name) => `${name}/${row + 1}`).join(','));
    const lines = previewLines(`\u{feff}${names.join(',')}\n${rows.join('\n')}\n`, 'csv', look);
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(40);
    const text = lines.join('\n');
    for (const name of names) expect(text).toContain(`${name}/10`);
    expect(text).not.toContain('column_1/11');
    expect(lines.filter((line) => line.startsWith('10 ')).length).toBeGreaterThan(1);
    expect(lines.at(-1)).toBe('10 of 25 rows, 12 columns.');
  });

  it('shortens long cells and keeps their line breaks visible', () => {
    const lines = previewLines(`a,b\n"one\ntwo",${'x'.repeat(500)}\n`, 'csv', look);
    expect(lines[1]).toContain(String.raw`one\u{a}two`);
    expect(lines.join('\n')).toContain('x…');
  });
});
