import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { csv } from '../../src/formats/csv.js';
import { contentOptions } from '../support/content-options.js';
import { aConversation, FULL, HOSTILE_TEXTS, viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';
import { encode } from './encode.js';
import { hasPython, readCsv, readWithPython, unguarded } from './readers.js';

const HEADER =
  'conversation_id,title,status,tier,turn_number,role,content,quality_score,persona,emotion,topic,created_at';

/** Text that begins in every way that a spreadsheet might run, or might be thought to. */
function formulaLike(): fc.Arbitrary<string> {
  const before = fc.constantFrom(
    '',
    ' ',
    '\t',
    '\n',
    '\r',
    '\r\n',
    '"',
    "'",
    '\ufeff',
    '\u200b',
    '\0',
    '\u00a0',
    'x',
    ';',
  );
  const sign = fc.constantFrom('=', '+', '-', '@', '＝', '＋', '－', '＠', '|', '%', "'", '');
  return fc
    .tuple(fc.array(before, { maxLength: 4 }), sign, hostileStrings(3))
    .map(([leading, first, rest]) => `${leading.join('')}${first}${rest}`);
}

describe('the header', () => {
  it('is that of the requirements, after a byte order mark unless it is switched off', () => {
    expect(encode(csv, []).text).toBe(`\ufeff${HEADER}\n`);
    expect(encode(csv, [], { bom: false }).text).toBe(`${HEADER}\n`);
  });

  it('names the columns of every combination of flags, and rows have as many cells', () => {
    for (const content of contentOptions()) {
      const { text } = encode(csv, [aConversation(FULL)], { ...content, bom: false });
      const [header, ...rows] = readCsv(text);
      expect(header).toEqual([
        'conversation_id',
        'title',
        'status',
        'tier',
        ...(content.includeFullContent ? ['turn_number', 'role', 'content'] : []),
        ...(content.includeQualityScores ? ['quality_score'] : []),
        ...(content.includeMetadata ? ['persona', 'emotion', 'topic'] : []),
        ...(content.includeTimestamps ? ['created_at'] : []),
        ...(content.includeParentReferences ? ['parent_id', 'parent_type'] : []),
        ...(content.includeApprovalHistory ? ['review_history'] : []),
      ]);
      expect(rows).toHaveLength(content.includeFullContent ? 3 : 1);
      for (const row of rows) expect(row).toHaveLength(header?.length ?? 0);
    }
  });
});

describe('a row', () => {
  it('is one turn, with the columns of its conversation repeated', () => {
    expect(
      encode(csv, [aConversation({ ...FULL, turns: ['user: a, b', 'assistant: "c"\nd'] })], { bom: false })
        .text,
    ).toBe(
      `${HEADER}\n` +
        'conversation-full,A title,approved,template,1,user,"a, b",8.5,A persona,An emotion,A topic,2025-10-29T10:00:00.000Z\n' +
        'conversation-full,A title,approved,template,2,assistant,"""c""\nd",8.5,A persona,An emotion,A topic,2025-10-29T10:00:00.000Z\n',
    );
  });

  it('is one conversation without the columns of turns when full content is off', () => {
    const { text } = encode(csv, [aConversation(FULL)], { bom: false, includeFullContent: false });
    expect(text.split('\n')[1]).toBe(
      'conversation-full,A title,approved,template,8.5,A persona,An emotion,A topic,2025-10-29T10:00:00.000Z',
    );
  });

  it('keeps an empty text apart from an absent one, and casts nothing', () => {
    const { text } = encode(
      csv,
      [aConversation({ title: '', topic: null, persona: 'true', emotion: '007' })],
      { bom: false },
    );
    expect(text.split('\n')[1]).toBe('conversation-1,"",,,1,user,hi,,true,007,,');
  });

  it('leaves out what is no number and no time, whatever the column holds', () => {
    const row = { qualityScore: '=1+1', createdAt: 'infinity' };
    const { text, notes } = encode(csv, [aConversation(row)], { bom: false });
    expect(text.split('\n')[1]).toBe('conversation-1,,,,1,user,hi,,,,,');
    expect(notes).toEqual({});
  });

  it('holds JSON columns as one line of JSON', () => {
    const reviewHistory = '[\n {"a": "x\u2028\\ud800"}\n]';
    const { text } = encode(csv, [aConversation({ reviewHistory })], {
      bom: false,
      includeApprovalHistory: true,
    });
    const cell = readCsv(text)[1]?.at(-1) ?? '';
    expect(cell).not.toContain('\n');
    expect(JSON.parse(cell)).toEqual([{ a: 'x\u2028\ufffd' }]);
  });
});

describe('the guard against formulas', () => {
  const contentCell = (content: string, rawCells = false): string =>
    readCsv(
      encode(csv, [aConversation({ turns: [`user: ${content}`] })], { bom: false, rawCells }).text,
    )[1]?.[6] ?? '';

  it('puts an apostrophe before what a spreadsheet may run', () => {
    const signs = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    for (const sign of signs) {
      for (const before of ['', ' ', '  ', '"', "'", '\ufeff', '\u00a0', '\0', '\r\n']) {
        const text = `${before}${sign}1+1`;
        expect(contentCell(text)).toBe(`'${text}`);
        expect(contentCell(text, true)).toBe(text);
      }
    }
  });

  it('leaves other text as it is', () => {
    for (const text of ['a=1', '1-2', '"x"-y', "'tis", '|x', '(=1)', '5+', '€-5'])
      expect(contentCell(text)).toBe(text);
  });

  it('covers every text column and no number or time', () => {
    const text = '=1';
    const { notes, text: document } = encode(
      csv,
      [
        aConversation({
          conversationId: text,
          title: text,
          status: text,
          tier: text,
          persona: text,
          emotion: text,
          topic: text,

          parentId: text,
          parentType: text,
          reviewHistory: '-5',
          qualityScore: '-5',
          createdAt: '-0001-01-01T00:00:00.000Z',
          turns: [{ number: -1, role: text, content: text }],
        }),
      ],
      { bom: false, includeParentReferences: true, includeApprovalHistory: true },
    );
    expect(readCsv(document)[1]).toEqual([
      "'=1",
      "'=1",
      "'=1",
      "'=1",
      '-1',
      "'=1",
      "'=1",
      '-5',
      "'=1",
      "'=1",
      "'=1",
      '-0001-01-01T00:00:00.000Z',
      "'=1",
      "'=1",
      "'-5",
    ]);
    expect(notes).toEqual({ 'cells guarded against being run as formulas': 12 });
  });

  it('can be undone by its rule, whatever the text', () => {
    fc.assert(
      fc.property(formulaLike(), (text) => {
        expect(unguarded(contentCell(text))).toBe(text);
        expect(contentCell(text, true)).toBe(text);
      }),
    );
  });
});

it('counts the cells that Excel cuts', () => {
  const turns = ['user: hi', `assistant: ${'x'.repeat(32_767)}`, `user: ${'x'.repeat(32_768)}`];
  expect(encode(csv, [aConversation({ turns })]).notes).toEqual({
    'cells longer than 32,767 characters, which Excel cuts': 1,
  });
});

const PYTHON_READER = `
import csv, io, json, sys
csv.field_size_limit(10 ** 9)
text = io.StringIO(sys.stdin.buffer.read().decode("utf-8-sig"), newline="")
json.dump([[row["title"], row["content"]] for row in csv.DictReader(text)], sys.stdout)`;

it.skipIf(!hasPython)('gives the csv module of Python every text back', () => {
  const texts = [
    ...HOSTILE_TEXTS,
    ...fc.sample(hostileStrings(), { numRuns: 300, seed: 2 }),
    'x'.repeat(250_000),
  ];
  const conversations = texts.map((text) => aConversation({ title: text, turns: [`user: ${text}`] }));
  const { text } = encode(csv, conversations, { rawCells: true });
  expect(readWithPython(PYTHON_READER, text)).toEqual(texts.map((value) => [value, value]));
});

it('reads the same from one buffer as from many, with every kind of text', () => {
  fc.assert(
    fc.property(fc.array(hostileStrings(6), { minLength: 1, maxLength: 4 }), (texts) => {
      const view = viewsIntoOneBuffer();
      const conversations = texts.map((text) =>
        aConversation({ title: text, turns: [`user: ${text}`] }, view),
      );
      const [, ...rows] = readCsv(encode(csv, conversations, { bom: false }).text);
      expect(rows.map((row) => [unguarded(row[1] ?? ''), unguarded(row[6] ?? '')])).toEqual(
        texts.map((text) => [text, text]),
      );
    }),
  );
});
