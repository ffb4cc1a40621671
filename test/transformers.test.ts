import { describe, expect, it } from 'vitest';

import { LoraExportError } from '../src/errors.js';
import { formatNames, formats } from '../src/formats/index.js';
import type { ReportLine } from '../src/judging/tally.js';
import { getTransformer, type ConversationInput, type TurnInput } from '../src/transformers.js';
import { encode } from './formats/encode.js';
import { aConversation, HOSTILE_TEXTS } from './support/conversations.js';

const now = (): Date => new Date('2025-10-29T10:00:00Z');

function inputs(): { conversations: ConversationInput[]; turns: Map<string, TurnInput[]> } {
  const conversations = HOSTILE_TEXTS.map((text, index): ConversationInput => ({
    id: `id-${index}`,
    conversation_id: `key-${index}`,
    title: text,
    status: 'approved',
    tier: 'template',
    category: [text],
    qualityScore: 8.25,
    persona: text,
    tokenCount: 512,
    parameters: { [text]: 1 },
    reviewHistory: [{ text }],
    createdAt: '2025-10-29T12:00:00+02:00',
    updatedAt: new Date('2025-10-30T11:12:13.456Z'),
  }));
  const turns = new Map(
    HOSTILE_TEXTS.map((text, index) => [
      // Either key will do.
      index % 2 === 0 ? `id-${index}` : `key-${index}`,
      [
        { role: 'assistant', content: `${text}.`, turnNumber: 2, tokenCount: 7 },
        { role: 'user', content: `${text}?`, turnNumber: 1 },
      ],
    ]),
  );
  return { conversations, turns };
}

const sameConversations = HOSTILE_TEXTS.map((text, index) =>
  aConversation({
    id: `id-${index}`,
    conversationId: `key-${index}`,
    title: text,
    status: 'approved',
    tier: 'template',
    category: JSON.stringify([text]),
    qualityScore: '8.25',
    persona: text,
    totalTokens: '512',
    parameters: JSON.stringify({ [text]: 1 }),
    reviewHistory: JSON.stringify([{ text }]),
    createdAt: '2025-10-29T10:00:00.000Z',
    updatedAt: '2025-10-30T11:12:13.456Z',
    turns: [`user: ${text}?`, `assistant: ${text}.`],
    turnTokens: '[null,7]',
  }),
);

describe.each(formatNames)('the transformer of %s', async (name) => {
  const format = await formats[name].load();
  const transformer = getTransformer(name, { now });

  it('gives the bytes of the streaming encoder, but no newline after the last of JSON Lines', async () => {
    const { conversations, turns } = inputs();
    for (const config of [
      {},
      { includeApprovalHistory: true, includeParentReferences: true, scope: 'all', format: name },
    ]) {
      const text = await transformer.transform(conversations, turns, config);
      const streamed = encode(format, sameConversations, config).text;
      expect(text).toBe(name === 'jsonl' ? streamed.slice(0, -1) : streamed);
      expect(transformer.validateOutput(text)).toBe(true);
      expect(transformer.validateOutput(streamed)).toBe(true);
    }
  });

  it('knows its extension and media type', () => {
    expect(transformer.getFileExtension()).toBe(formats[name].extension);
    expect(transformer.getMimeType()).toBe(formats[name].mediaType);
  });

  it('skips what an export skips, reports it, and goes on', async () => {
    const lines: ReportLine[] = [];
    const reporting = getTransformer(name, { now, onReport: (line) => lines.push(line) });
    const good = { id: 'good' };
    const turns = new Map([
      [
        'good',
        [
          { role: 'user', content: 'hi' },
          { role: 'assistant', content: 'hello' },
        ],
      ],
      [
        'blank',
        [
          { role: 'user', content: ' ' },
          { role: 'assistant', content: 'hello' },
        ],
      ],
    ]);
    const conversations = [{ id: 'absent' }, good, { id: 'blank', createdAt: '2025-10-29 10:00' }];
    const text = await reporting.transform(conversations, turns, {});
    expect(text).toBe(await transformer.transform([good], turns, {}));
    expect(lines.map(({ id, action, rule }) => [id, action, rule])).toEqual([
      ['absent', 'skipped', 'no-turns'],
      ['blank', 'skipped', 'blank-content'],
    ]);
  });

  it('passes the layout on', async () => {
    const { conversations, turns } = inputs();
    const layout = { compact: true, bom: false, rawCells: true };
    const text = await getTransformer(name, { now, layout }).transform(conversations, turns, {});
    expect(text.trimEnd()).toBe(encode(format, sameConversations, layout).text.trimEnd());
  });
});

describe('transformers', () => {
  it('know the extensions and media types of the requirements', () => {
    expect(formatNames.map((name) => [formats[name].extension, formats[name].mediaType])).toEqual([
      ['jsonl', 'application/x-ndjson'],
      ['json', 'application/json'],
      ['csv', 'text/csv'],
      ['md', 'text/markdown'],
    ]);
  });

  it('refuse a format that does not exist', () => {
    for (const name of ['x', 'constructor', 'JSON', '']) {
      expect(() => getTransformer(name)).toThrow(
        new LoraExportError('E_USAGE', `Unknown export format: ${name}`),
      );
    }
  });

  it('refuse JSON Lines without full content, and write the others without turns', async () => {
    const { conversations, turns } = inputs();
    const config = { includeFullContent: false };
    await expect(getTransformer('jsonl').transform(conversations, turns, config)).rejects.toThrow(
      'includeFullContent',
    );
    for (const name of ['json', 'csv', 'markdown']) {
      const transformer = getTransformer(name, { now });
      const text = await transformer.transform(conversations, turns, config);
      expect(transformer.validateOutput(text)).toBe(true);
      expect(text).not.toContain('hello');
    }
  });
});

describe('validateOutput', () => {
  const jsonDocument = (change: object): string =>
    JSON.stringify({
      version: '1.0',
      export_date: 'x',
      conversation_count: 1,
      conversations: [{ conversation_id: 'a', turns: [{ role: 'user', content: '' }] }],
      ...change,
    });
  const line = '{"messages":[{"role":"user","content":"a"}]}';

  it.each([
    ['jsonl', '', 'Empty output'],
    ['jsonl', ' \n', 'Empty output'],
    ['jsonl', `${line}\n{"messages"`, 'Line 2: Invalid JSON'],
    ['jsonl', `${line}\n\n${line}`, 'Line 2: Invalid JSON'],
    ['jsonl', '[1]', 'Line 1: messages is missing or not an array'],
    ['jsonl', '{"messages":[]}', 'Line 1: messages is empty'],
    ['jsonl', '{"messages":[{"content":"a"}]}', 'Line 1: messages[0] has no role'],
    ['jsonl', '{"messages":[{"role":"user"}]}', 'Line 1: messages[0] has no content'],
    ['jsonl', '{"messages":[{"role":"bot","content":"a"}]}', 'Line 1: messages[0] has a role other than'],
    ['json', '', 'Invalid JSON format: it cannot be parsed'],
    ['json', jsonDocument({ version: undefined }), 'Invalid JSON format: version is missing'],
    ['json', jsonDocument({ export_date: undefined }), 'Invalid JSON format: export_date is missing'],
    [
      'json',
      jsonDocument({ conversation_count: undefined }),
      'Invalid JSON format: conversation_count is missing',
    ],
    ['json', jsonDocument({ conversations: {} }), 'Invalid JSON format: conversations is not an array'],
    [
      'json',
      jsonDocument({ conversation_count: 2 }),
      'Invalid JSON format: conversation_count does not match',
    ],
    [
      'json',
      jsonDocument({ conversations: [{}] }),
      'Invalid JSON format: conversations[0] has no conversation_id',
    ],
    [
      'json',
      jsonDocument({ conversations: [{ conversation_id: 'a', turns: [] }] }),
      'Invalid JSON format: conversations[0] has no turns',
    ],
    [
      'json',
      jsonDocument({ conversations: [{ conversation_id: 'a', turns: [{ role: 'user' }] }] }),
      'Invalid JSON format: conversations[0].turns[0] has no content',
    ],
    ['csv', '', 'Empty output'],
    ['csv', 'id,title\n', 'Invalid CSV format: the header does not start with conversation_id'],
    ['csv', 'conversation_id,title\na,b\na\n', 'Invalid CSV format: row 3 has 1 cells, but the header has 2'],
    ['csv', 'conversation_id,title\na,"b"c\n', 'Invalid CSV format: row 2 has a quote out of place'],
    ['markdown', 'text', 'Invalid Markdown format: line 1 is neither heading'],
    ['markdown', '# Conversation: a\n\ntext', 'Invalid Markdown format: line 3 is neither heading'],
    ['markdown', '> a', 'Invalid Markdown format: it does not start with a conversation'],
  ])('refuses %s %j', (format, output, message) => {
    expect(() => getTransformer(format).validateOutput(output)).toThrow(message);
  });

  it('accepts a sound document of each format', () => {
    expect(getTransformer('jsonl').validateOutput(line)).toBe(true);
    expect(getTransformer('jsonl').validateOutput(`${line}\n`)).toBe(true);
    expect(getTransformer('json').validateOutput(jsonDocument({}))).toBe(true);
    expect(getTransformer('csv').validateOutput('\ufeffconversation_id,content\na,"b""\n,"\nc,')).toBe(true);
    expect(getTransformer('markdown').validateOutput('')).toBe(true);
  });
});
