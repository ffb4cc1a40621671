import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { json } from '../../src/formats/json.js';
import { contentOptions, DEFAULT_ENCODING } from '../support/content-options.js';
import { aConversation, FULL, viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';
import { encode } from './encode.js';
import { hasPython, readWithPython } from './readers.js';

interface Document {
  conversation_count: number;
  conversations: { title: string; turns?: { role: string; content: string }[]; metadata?: object }[];
  summary?: { total_turns: number; average_quality_score?: number; tier_distribution: object };
}

const parse = (text: string): Document => JSON.parse(text) as Document;
const ALL = { includeApprovalHistory: true, includeParentReferences: true };

describe('a document', () => {
  it('has header, conversations and summary in the order of the requirements', () => {
    const { text } = encode(json, [aConversation({ ...FULL, turns: ['user: a', 'assistant: b'] })], ALL);
    const expected = {
      version: '1.0',
      export_date: '2025-10-29T10:00:00.000Z',
      conversation_count: 1,
      conversations: [
        {
          conversation_id: 'conversation-full',
          title: 'A title',
          status: 'approved',
          tier: 'template',
          turns: [
            { role: 'user', content: 'a', token_count: 3 },
            { role: 'assistant', content: 'b', token_count: 6 },
          ],
          metadata: {
            persona: 'A persona',
            emotion: 'An emotion',
            topic: 'A topic',
            category: ['one', 'two'],
            total_turns: 2,
            token_count: 512,
            quality_score: 8.5,
            created_at: '2025-10-29T10:00:00.000Z',
            updated_at: '2025-10-30T11:12:13.456Z',
            review_history: [{ action: 'approved', by: 'ann' }],
            parent_id: 'parent-1',
            parent_type: 'scenario',
            parameters: { temperature: 0.7 },
          },
        },
      ],
      summary: { total_turns: 2, average_quality_score: 8.5, tier_distribution: { template: 1 } },
    };
    expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(expected));
  });

  it('is indented as JSON.stringify does it, or stands on one line', () => {
    const conversations = [FULL, { ...FULL, turns: [] }, {}].map((parts) =>
      aConversation({ ...parts, category: null, reviewHistory: null, parameters: null }),
    );
    for (const content of contentOptions()) {
      for (const some of [conversations, []]) {
        const { text } = encode(json, some, content);
        expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
        const compact = encode(json, some, { ...content, compact: true }).text;
        expect(compact).toBe(`${JSON.stringify(JSON.parse(text))}\n`);
      }
    }
  });

  it('is the same for every combination of flags as the requirements say', () => {
    for (const content of contentOptions()) {
      const document = parse(encode(json, [aConversation(FULL)], content).text);
      const [conversation] = document.conversations;
      expect(Object.keys(document)).toEqual([
        'version',
        'export_date',
        'conversation_count',
        'conversations',
        ...(content.includeMetadata ? ['summary'] : []),
      ]);
      expect(Object.keys(conversation ?? {})).toEqual([
        'conversation_id',
        'title',
        'status',
        'tier',
        ...(content.includeFullContent ? ['turns'] : []),
        ...(content.includeMetadata ? ['metadata'] : []),
      ]);
      if (!content.includeMetadata) continue;
      expect(Object.keys(conversation?.metadata ?? {})).toEqual([
        'persona',
        'emotion',
        'topic',
        'category',
        'total_turns',
        'token_count',
        ...(content.includeQualityScores ? ['quality_score'] : []),
        ...(content.includeTimestamps ? ['created_at', 'updated_at'] : []),
        ...(content.includeApprovalHistory ? ['review_history'] : []),
        ...(content.includeParentReferences ? ['parent_id', 'parent_type'] : []),
        'parameters',
      ]);
      expect(Object.keys(document.summary ?? {})).toEqual([
        'total_turns',
        ...(content.includeQualityScores ? ['average_quality_score'] : []),
        'tier_distribution',
      ]);
    }
  });

  it('has a valid header, an empty list and an empty summary without conversations', () => {
    expect(parse(encode(json, []).text)).toEqual({
      version: '1.0',
      export_date: '2025-10-29T10:00:00.000Z',
      conversation_count: 0,
      conversations: [],
      summary: { total_turns: 0, tier_distribution: {} },
    });
  });

  it('has null where a conversation has nothing, and no parameters where they are empty', () => {
    for (const parameters of [null, '{}', ' {\n} ', 'null']) {
      const [conversation] = parse(encode(json, [aConversation({ parameters })], ALL).text).conversations;
      expect(conversation).toMatchObject({ title: null, status: null, tier: null });
      expect(conversation?.metadata).toEqual({
        persona: null,
        emotion: null,
        topic: null,
        category: null,
        total_turns: 2,
        token_count: null,
        quality_score: null,
        created_at: null,
        updated_at: null,
        review_history: null,
        parent_id: null,
        parent_type: null,
      });
    }
  });

  it('keeps the digits of numbers inside JSON columns, and their text on one line', () => {
    const parameters = '{\n  "big": 12345678901234567890.123456789, "text": "a\u2028b"\n}';
    const { text } = encode(json, [aConversation({ parameters })]);
    expect(text).toContain('{   "big": 12345678901234567890.123456789, "text": "a\\u2028b" }');
  });
});

it('has no token count for a turn that was not measured', () => {
  const turns = ['user: a', 'assistant: b', 'user: c', 'assistant: d'];
  const [conversation] = parse(
    encode(json, [aConversation({ turns, turnTokens: '[0, null, 12]' })]).text,
  ).conversations;
  expect(conversation?.turns).toEqual([
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'c', token_count: 12 },
    { role: 'assistant', content: 'd' },
  ]);
});

describe('the summary', () => {
  const summaryOf = (...parts: Parameters<typeof aConversation>[0][]): Document['summary'] =>
    parse(
      encode(
        json,
        parts.map((part) => aConversation(part)),
      ).text,
    ).summary;

  it('counts the turns and tiers that were written, whatever the stored counts say', () => {
    expect(
      summaryOf(
        { ...FULL, totalTurns: '99', tier: 'scenario' },
        { totalTurns: '99', tier: '__proto__' },
        { tier: 'scenario' },
        { tier: null },
      ),
    ).toEqual({
      total_turns: 9,
      average_quality_score: 8.5,
      tier_distribution: JSON.parse('{"scenario":2,"__proto__":1,"unknown":1}') as object,
    });
  });

  it('averages the scores that there are, exactly, to two decimals', () => {
    const average = (...scores: (string | null)[]): number | undefined =>
      summaryOf(...scores.map((qualityScore) => ({ qualityScore })))?.average_quality_score;
    expect(average(null, 'NaN')).toBeUndefined();
    expect(average('0')).toBe(0);
    expect(average('8.1', null, '8.2')).toBe(8.15);
    expect(average('1.005')).toBe(1.01);
    expect(average('7', '7', '8')).toBe(7.33);
    expect(average('-0.004')).toBe(0);
    expect(average('-1.5', '-1.51')).toBe(-1.51);
    expect(average('1e1', '2.50E-1', '1e999999999', 'Infinity')).toBe(5.13);
    expect(average(...Array.from({ length: 1000 }, () => '0.1'))).toBe(0.1);
  });
});

it('refuses to end with another number of conversations than the header says', () => {
  const encoder = json.encoder(DEFAULT_ENCODING);
  const out = new ByteWriter();
  encoder.begin(out, 2);
  encoder.conversation(aConversation(), out);
  expect(() => encoder.end(out)).toThrow('The header says 2 conversations, but 1 were written.');
});

it('gives JSON.parse back every text, whatever is in it', () => {
  fc.assert(
    fc.property(
      fc.array(hostileStrings(8), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (texts, compact) => {
        const view = viewsIntoOneBuffer();
        const conversations = texts.map((text) =>
          aConversation({ title: text, tier: text, turns: [`user: ${text}`, `assistant: ${text}`] }, view),
        );
        const document = parse(encode(json, conversations, { compact }).text);
        expect(document.conversations.map(({ title, turns }) => [title, turns?.[1]?.content])).toEqual(
          texts.map((text) => [text, text]),
        );
        if (compact) expect(encode(json, conversations, { compact }).text.match(/\n/g)).toHaveLength(1);
      },
    ),
  );
});

it.skipIf(!hasPython)('says the same to the json module of Python', () => {
  const texts = fc.sample(hostileStrings(), { numRuns: 200, seed: 1 });
  const { text } = encode(
    json,
    texts.map((content) => aConversation({ turns: [`user: ${content}`, `assistant: ${content}`] })),
  );
  const script = `
import json, sys
document = json.loads(sys.stdin.buffer.read().decode("utf-8"))
json.dump([c["turns"][1]["content"] for c in document["conversations"]], sys.stdout)`;
  expect(readWithPython(script, text)).toEqual(texts);
});
