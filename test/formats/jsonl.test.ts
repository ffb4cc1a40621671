import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import type { Conversation } from '../../src/conversation.js';
import type { ContentOptions } from '../../src/formats/format.js';
import { jsonl } from '../../src/formats/jsonl.js';
import { contentOptions, DEFAULT_ENCODING } from '../support/content-options.js';
import { aConversation, FULL, HOSTILE_TEXTS, viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';

interface Line {
  messages: { role: string; content: string | null }[];
  metadata?: Record<string, unknown>;
}

function encode(conversations: readonly Conversation[], content: Partial<ContentOptions> = {}): string {
  const out = new ByteWriter();
  const encoder = jsonl.encoder({ ...DEFAULT_ENCODING, ...content });
  encoder.begin(out, null);
  for (const conversation of conversations) encoder.conversation(conversation, out);
  encoder.end(out);
  return out.view().toString('utf8');
}

const hasPython = spawnSync('python3', ['-c', 'import json']).status === 0;

/** Reads the bytes as Python does: one list per record that `str.splitlines` sees, of the messages in it. */
function readWithPython(text: string): [role: string, content: string][][] {
  const script = `
import json, sys
records = [json.loads(line) for line in sys.stdin.buffer.read().decode("utf-8").splitlines()]
json.dump([[[m["role"], m["content"]] for m in r["messages"]] for r in records], sys.stdout)`;
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], {
    input: text,
    encoding: 'utf8',
    env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as [string, string][][];
}

describe('a line', () => {
  it('shows the default parts in the order of the requirements', () => {
    expect(encode([aConversation(FULL)])).toBe(
      '{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"What is a bond?"},' +
        '{"role":"assistant","content":"A loan to an issuer."}],' +
        '"metadata":{"conversation_id":"conversation-full","title":"A title","tier":"template",' +
        '"quality_score":8.5,"created_at":"2025-10-29T10:00:00.000Z","updated_at":"2025-10-30T11:12:13.456Z",' +
        '"persona":"A persona","emotion":"An emotion","topic":"A topic"}}\n',
    );
  });

  it('shows every part in the order of the requirements when all flags are on', () => {
    const all = { includeApprovalHistory: true, includeParentReferences: true };
    expect(encode([aConversation({ ...FULL, turns: ['user: a', 'assistant: b'] })], all)).toBe(
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],' +
        '"metadata":{"conversation_id":"conversation-full","title":"A title","tier":"template",' +
        '"quality_score":8.5,"created_at":"2025-10-29T10:00:00.000Z","updated_at":"2025-10-30T11:12:13.456Z",' +
        '"review_history":[{"action":"approved","by":"ann"}],"parent_id":"parent-1","parent_type":"scenario",' +
        '"persona":"A persona","emotion":"An emotion","topic":"A topic"}}\n',
    );
  });

  it('is nothing but the messages without metadata', () => {
    expect(encode([aConversation(FULL)], { includeMetadata: false })).toBe(
      '{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"What is a bond?"},' +
        '{"role":"assistant","content":"A loan to an issuer."}]}\n',
    );
  });

  it('has the same keys with null where a conversation has nothing', () => {
    expect(encode([aConversation()], { includeApprovalHistory: true, includeParentReferences: true })).toBe(
      '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],' +
        '"metadata":{"conversation_id":"conversation-1","title":null,"tier":null,"quality_score":null,' +
        '"created_at":null,"updated_at":null,"review_history":null,"parent_id":null,"parent_type":null,' +
        '"persona":null,"emotion":null,"topic":null}}\n',
    );
  });

  it('keeps an empty text apart from an absent one', () => {
    const { metadata } = JSON.parse(encode([aConversation({ title: '', topic: null })])) as Line;
    expect(metadata).toMatchObject({ title: '', topic: null });
  });

  it('writes null for what JSON and ISO 8601 cannot express', () => {
    const line = encode([
      aConversation({ qualityScore: 'NaN', createdAt: 'infinity', updatedAt: '-infinity' }),
    ]);
    expect(line).toContain('"quality_score":null,"created_at":null,"updated_at":null');
  });

  it('keeps the digits of a number as the database prints them', () => {
    expect(encode([aConversation({ qualityScore: '9.10' })])).toContain('"quality_score":9.10,');
    expect(encode([aConversation({ qualityScore: '12345678901234567890.123456789' })])).toContain(
      '"quality_score":12345678901234567890.123456789,',
    );
  });

  it('holds review history that was stored over several lines', () => {
    const line = encode([aConversation({ reviewHistory: '[\n  {"note": "a\u2028b"}\n]' })], {
      includeApprovalHistory: true,
    });
    expect(line.split('\n')).toHaveLength(2);
    expect((JSON.parse(line) as Line).metadata?.['review_history']).toEqual([{ note: 'a\u2028b' }]);
  });

  it('can hold no turns and turns without content, although the checks let neither through', () => {
    expect(encode([aConversation({ turns: [] })], { includeMetadata: false })).toBe('{"messages":[]}\n');
    expect(
      encode([aConversation({ turns: [{ role: 'user', content: null }] })], { includeMetadata: false }),
    ).toBe('{"messages":[{"role":"user","content":null}]}\n');
  });

  it('escapes a role like any other text', () => {
    const line = encode([aConversation({ turns: [{ role: 'a "b"\n', content: 'c' }] })]);
    expect((JSON.parse(line) as Line).messages).toEqual([{ role: 'a "b"\n', content: 'c' }]);
  });
});

describe('every combination of flags', () => {
  const flagOf: Partial<Record<string, keyof ContentOptions>> = {
    quality_score: 'includeQualityScores',
    created_at: 'includeTimestamps',
    updated_at: 'includeTimestamps',
    review_history: 'includeApprovalHistory',
    parent_id: 'includeParentReferences',
    parent_type: 'includeParentReferences',
  };
  const keys = (
    'conversation_id title tier quality_score created_at updated_at review_history parent_id parent_type ' +
    'persona emotion topic'
  ).split(' ');

  it('shows exactly its keys, in order, on a full and on an empty conversation alike', () => {
    for (const content of contentOptions()) {
      const shown = keys.filter((key) => {
        const flag = flagOf[key];
        return flag === undefined || content[flag];
      });
      for (const conversation of [aConversation(FULL), aConversation()]) {
        const line = JSON.parse(encode([conversation], content)) as Line;
        expect(Object.keys(line)).toEqual(content.includeMetadata ? ['messages', 'metadata'] : ['messages']);
        if (content.includeMetadata) expect(Object.keys(line.metadata ?? {})).toEqual(shown);
      }
    }
  });
});

describe('a document', () => {
  it('is empty when there are no conversations', () => {
    expect(encode([])).toBe('');
  });

  it('has one line per conversation and ends with one line feed', () => {
    const text = encode([aConversation(), aConversation({ conversationId: 'b' }), aConversation()]);
    expect(text.split('\n').map((line) => line !== '')).toEqual([true, true, true, false]);
    expect(text.endsWith('\n\n')).toBe(false);
    expect(text.startsWith('\ufeff')).toBe(false);
  });

  it('gives JSON.parse back every text, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(hostileStrings(8), { minLength: 1, maxLength: 4 }), (values) => {
        const view = viewsIntoOneBuffer();
        const conversations = values.map((value) =>
          aConversation({ title: value, turns: [`user: ${value}`, `assistant: ${value}`] }, view),
        );
        const lines = encode(conversations).split('\n');
        expect(lines.pop()).toBe('');
        expect(
          lines.map((line) => (JSON.parse(line) as Line).messages.map(({ content }) => content)),
        ).toEqual(values.map((value) => [value, value]));
        expect(lines.map((line) => (JSON.parse(line) as Line).metadata?.['title'])).toEqual(values);
      }),
    );
  });

  it.skipIf(!hasPython)(
    'is one record per line for Python, also for str.splitlines, with equal texts',
    () => {
      // What splitlines splits at beyond line feeds: U+000B, U+000C, U+001C to U+001E, U+0085, U+2028, U+2029.
      const splitters = '\v\f\u001c\u001d\u001e\u0085\u2028\u2029';
      const random = fc.sample(hostileStrings(), { numRuns: 300, seed: 1 });
      const texts = [...HOSTILE_TEXTS, splitters, ...random];
      const conversations = texts.map((text) =>
        aConversation({ title: text, topic: text, turns: [`user: ${text}`, `assistant: ${text}`] }),
      );
      expect(readWithPython(encode(conversations))).toEqual(
        texts.map((text) => [
          ['user', text],
          ['assistant', text],
        ]),
      );
    },
  );
});
