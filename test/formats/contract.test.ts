import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import type { Conversation } from '../../src/conversation.js';
import type { ContentOptions, Format } from '../../src/formats/format.js';
import { formatNames, formats } from '../../src/formats/index.js';
import { contentOptions, DEFAULT_CONTENT, DEFAULT_ENCODING } from '../support/content-options.js';
import { aConversation, FULL, HOSTILE_TEXTS, viewsIntoOneBuffer } from '../support/conversations.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { asHeldBy, READERS } from './readers.js';

/** @param take whether what was written is taken away after each conversation, as the run does between flushes */
function encode(
  format: Format,
  conversations: readonly Conversation[],
  content: ContentOptions,
  take = false,
) {
  const out = new ByteWriter(16);
  const pieces: Buffer[] = [];
  const flush = (): void => {
    pieces.push(Buffer.from(out.view()));
    out.clear();
  };
  const encoder = format.encoder({ ...DEFAULT_ENCODING, ...content });
  encoder.begin(out, format.needsCount ? conversations.length : null);
  for (const conversation of conversations) {
    encoder.conversation(conversation, out);
    if (take) flush();
  }
  encoder.end(out);
  flush();
  return Buffer.concat(pieces);
}

function hostileConversations(view?: ReturnType<typeof viewsIntoOneBuffer>): Conversation[] {
  return HOSTILE_TEXTS.map((text) =>
    aConversation(
      {
        ...FULL,
        conversationId: text,
        title: text,
        tier: text,
        persona: text,
        emotion: text,
        topic: text,
        reviewHistory: JSON.stringify([text]),
        parameters: JSON.stringify({ [text]: text }),
        category: JSON.stringify([text]),
        turns: [`user: ${text}`, `assistant: ${text}${text}`],
      },
      view,
    ),
  );
}

describe.each(formatNames)('format %s', async (name) => {
  const format = await formats[name].load();
  const read = (bytes: Buffer): string[][] =>
    READERS[name](new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));

  it('names an extension without a dot, a media type and a one-line summary', () => {
    expect(formats[name].extension).toMatch(/^[a-z0-9]+$/);
    expect(formats[name].mediaType).toMatch(/^[a-z]+\/[a-z0-9.+-]+$/);
    expect(format.summary).toMatch(/^\S[^\n]{5,78}\S$/);
  });

  it('makes a readable document of none, one and many conversations', () => {
    const many = Array.from({ length: 250 }, (_, index) =>
      aConversation({ turns: [`user: question ${index}`, `assistant: answer ${index}`] }),
    );
    for (const count of [0, 1, 2, many.length]) {
      expect(read(encode(format, many.slice(0, count), DEFAULT_CONTENT))).toEqual(
        Array.from({ length: count }, (_, index) => [`question ${index}`, `answer ${index}`]),
      );
    }
  });

  it('gives hostile text back as it was, with every combination of flags that shows the turns', () => {
    for (const content of contentOptions()) {
      if (!content.includeFullContent) continue;
      expect(read(encode(format, hostileConversations(), content))).toEqual(
        HOSTILE_TEXTS.map((text) => [asHeldBy(name, text), asHeldBy(name, text + text)]),
      );
    }
  });

  it('writes the same bytes for texts inside one large buffer as for texts of their own', () => {
    expect(encode(format, hostileConversations(viewsIntoOneBuffer()), DEFAULT_CONTENT)).toEqual(
      encode(format, hostileConversations(), DEFAULT_CONTENT),
    );
  });

  it('writes the same bytes however often they are taken away, and keeps no state between encoders', () => {
    const conversations = hostileConversations();
    const whole = encode(format, conversations, DEFAULT_CONTENT);
    expect(encode(format, conversations, DEFAULT_CONTENT, true)).toEqual(whole);
    expect(encode(format, conversations, DEFAULT_CONTENT)).toEqual(whole);
  });

  it('asks for exactly the members that its encoder reads', () => {
    const always = new Set(['id', 'conversationId', 'turns']);
    for (const content of contentOptions()) {
      const seen = new Set<string>();
      const conversation = new Proxy(aConversation(FULL), {
        get(target, property, receiver) {
          seen.add(String(property));
          return Reflect.get(target, property, receiver) as unknown;
        },
      });
      encode(format, [conversation, conversation], content);
      const asked = format.fields(content);
      expect(new Set(asked).size).toBe(asked.length);
      expect([...seen].filter((member) => !always.has(member)).sort()).toEqual([...asked].sort());
    }
  });

  it('copes with conversations of which every member that can be null is', () => {
    for (const content of contentOptions()) {
      if (!content.includeFullContent) continue;
      expect(read(encode(format, [aConversation(), aConversation()], content))).toEqual([
        ['hi', 'hello'],
        ['hi', 'hello'],
      ]);
    }
  });
});

describe('the registry', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase('ready');
  });
  afterAll(() => database.drop());

  it('holds no format that the audit log would refuse', async () => {
    const rows = await database.sql<{ definition: string }[]>`
      select pg_get_constraintdef(c.oid) as definition
      from pg_constraint c
      join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
      where c.conrelid = 'export_logs'::regclass and c.contype = 'c' and a.attname = 'format'`;
    expect(rows).toHaveLength(1);
    const allowed = [...(rows[0]?.definition ?? '').matchAll(/'(\w+)'/g)].map(([, name]) => name);
    expect(allowed).toEqual(expect.arrayContaining([...formatNames]));
  });

  it('is not empty, and gives no two formats the same extension', () => {
    const extensions = formatNames.map((name) => formats[name].extension);
    expect(extensions.length).toBeGreaterThan(0);
    expect(new Set(extensions).size).toBe(extensions.length);
  });
});
