import { describe, expect, it, test } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import type { Conversation } from '../../src/conversation.js';
import { formatNames, formats } from '../../src/formats/index.js';
import { createValidator } from '../../src/validate.js';
import { DEFAULT_ENCODING, contentOptions } from '../support/content-options.js';
import { aConversation, FULL, HOSTILE_TEXTS } from '../support/conversations.js';
import { against, errors, found, row, rows, validate } from './support.js';

const document = (parts: object = {}): string =>
  JSON.stringify(
    {
      version: '1.0',
      export_date: '2025-10-29T10:00:00.000Z',
      conversation_count: 1,
      conversations: [{ conversation_id: 'a', turns: [{ role: 'user', content: 'q' }] }],
      ...parts,
    },
    null,
    2,
  );

describe('JSON', () => {
  const turn = { role: 'user', content: 'q' };
  test.each<[what: string, text: string, expected: string[]]>([
    ['a good document', document(), []],
    ['without turns', document({ conversations: [{ conversation_id: 'a' }] }), []],
    ['a byte order mark', `\u{feff}${document()}`, ['1 error byte-order-mark']],
    ['no version', document({ version: undefined }), ['file error missing-key version']],
    ['no date', document({ export_date: undefined }), ['file error missing-key export_date']],
    ['no count', document({ conversation_count: undefined }), ['file error missing-key conversation_count']],
    ['a wrong count', document({ conversation_count: 2 }), ['file error wrong-count conversation_count']],
    [
      'no id',
      document({ conversations: [{ turns: [turn] }] }),
      ['6 error missing-key conversations[0].conversation_id'],
    ],
    [
      'empty turns',
      document({ conversations: [{ conversation_id: 'a', turns: [] }] }),
      ['6 error empty-messages conversations[0].turns'],
    ],
    [
      'no role',
      document({ conversations: [{ conversation_id: 'a', turns: [{ content: 'q' }] }] }),
      ['6 error missing-key conversations[0].turns[0].role'],
    ],
    [
      'no content',
      document({ conversations: [{ conversation_id: 'a', turns: [turn, { role: 'user' }] }] }),
      ['6 error missing-content conversations[0].turns[1].content'],
    ],
    [
      'a scalar among them',
      document({ conversations: [7] }),
      ['file error not-an-object conversations', 'file error empty-file'],
    ],
    [
      'no list',
      document({ conversations: {} }),
      ['file error wrong-type conversations', 'file error empty-file'],
    ],
    ['cut off between conversations', document().slice(0, -3), ['file error invalid-json']],
    [
      'cut off inside a conversation',
      document().slice(0, 160),
      ['file error invalid-json', 'file error empty-file'],
    ],
    [
      'a missing comma',
      document({
        conversations: [{ conversation_id: 'a' }, { conversation_id: 'b' }],
        conversation_count: 2,
      }).replace('},\n    {', '}\n    {'),
      ['file error invalid-json'],
    ],
    ['a broken conversation', document().replace('"q"', 'q'), ['6 error invalid-json']],
    [
      'the same key twice',
      document().replace('"version"', '"version":1,"version"'),
      ['file error duplicate-key version'],
    ],
  ])('%s', (_, text, expected) => {
    expect(found(validate(text, { format: 'json' }))).toEqual(expected);
  });

  it('checks the entries of a list against a target, and says who cannot read it', () => {
    const text = `[\n${row(1)},\n${row(2)},\n{"messages":[]}\n]\n`;
    const trl = validate(text, { ...against('trl'), format: 'json' });
    expect(trl.rows).toBe(3);
    expect(errors(trl)).toEqual(['4 error empty-messages messages']);
    expect(errors(validate(text, { ...against('together'), format: 'json' }))).toContain(
      'file error json-array',
    );
  });
});

describe('CSV', () => {
  const header = 'conversation_id,title,status,tier,turn_number,role,content';
  test.each<[what: string, text: string, expected: string[]]>([
    ['good records', `${header}\na,t,approved,x,1,user,"q, ""w""\nmore"\na,t,approved,x,2,assistant,r\n`, []],
    ['a byte order mark and CR LF', `\u{feff}${header}\r\na,t,approved,x,1,user,q\r\n`, []],
    ['too few cells', `${header}\na,t,approved,x,1,user\n`, ['2 error cell-count']],
    ['too many cells', `${header}\na,t,approved,x,1,user,q,w\n`, ['2 error cell-count']],
    ['a quote inside a cell', `${header}\na,t"t"t,approved,x,1,user,q\n`, ['2 error quote']],
    ['text behind a quote', `${header}\na,"t"t,approved,x,1,user,q\n`, ['2 error quote']],
    [
      'a quote that is not closed',
      `${header}\na,t,approved,x,1,user,"q\nb,t\n`,
      ['2 error cut-off', 'file error empty-file'],
    ],
    ['an unknown role', `${header}\na,t,approved,x,1,human,q\n`, ['2 error unknown-role role']],
    ['a turn without a number', `${header}\na,t,approved,x,one,user,q\n`, ['2 error wrong-type turn_number']],
    [
      'a word that pandas reads as nothing',
      `${header}\na,t,approved,x,1,user,NA\n`,
      ['2 warning null-word content'],
    ],
    ['no id', 'title\nx\n', ['1 error missing-key conversation_id']],
    ['a column twice', 'conversation_id,title,title\na,b,c\n', ['1 error duplicate-key title']],
    ['another order', 'title,conversation_id\na,b\n', ['1 warning column-order']],
    ['only a header', `${header}\n`, ['file error empty-file']],
  ])('%s', (_, text, expected) => {
    expect(found(validate(text, { format: 'csv' }))).toEqual(expected);
  });

  it('is no file for a target', () => {
    expect(
      errors(validate(`${header}\na,t,s,x,1,user,q\n`, { ...against('openai'), format: 'csv' })),
    ).toContain('file error not-json-lines');
  });
});

describe('Markdown', () => {
  const good =
    '# Conversation: A\n\n**Metadata:**\n\n- ID: a\n\n## Conversation\n\n**User:**\n\n> q\n>\n> w\n\n**Assistant:**\n\n> a\n';
  test.each<[what: string, text: string, expected: string[]]>([
    ['a good document', `${good}\n---\n\n${good}`, []],
    ['text outside of quotes', good.replace('> w', 'w'), ['13 error unexpected-line']],
    ['a quote of nobody', good.replace('**User:**\n', ''), ['10 error unexpected-line']],
    ['a silent speaker', good.replace('> a\n', ''), ['15 error missing-content']],
    ['text before the title', `x\n${good}`, ['1 error unexpected-line']],
  ])('%s', (_, text, expected) => {
    expect(found(validate(text, { format: 'markdown' }))).toEqual(expected);
  });
});

describe('what exports write', () => {
  const conversations = HOSTILE_TEXTS.map((text, index) =>
    aConversation({
      ...FULL,
      conversationId: `c${index}`,
      title: text,
      persona: text,
      turns: [`user: q ${index} ${text}`, `assistant: ${text} a ${index}`],
    }),
  );

  async function write(
    name: (typeof formatNames)[number],
    written: readonly Conversation[],
    options = DEFAULT_ENCODING,
  ): Promise<Buffer> {
    const encoder = (await formats[name].load()).encoder(options);
    const body = new ByteWriter(1024);
    const out = new ByteWriter(1024);
    encoder.begin(out, written.length);
    for (const conversation of written) encoder.conversation(conversation, body);
    out.bytes(body.view());
    encoder.end(out);
    return Buffer.from(out.view());
  }

  test.each(formatNames)('%s passes, in pieces of any size, and is recognised by its start', async (name) => {
    for (const content of contentOptions()) {
      if (name === 'jsonl' && !content.includeFullContent) continue;
      const bytes = await write(name, conversations, { ...DEFAULT_ENCODING, ...content });
      expect(errors(validate(bytes, { format: name }))).toEqual([]);
    }
    const bytes = await write(name, conversations);
    const whole = validate(bytes);
    expect(whole).toMatchObject({ format: name, valid: true });
    const validator = createValidator({ format: name });
    for (let from = 0; from < bytes.length; from += 5) validator.write(bytes.subarray(from, from + 5));
    expect(validator.end()).toEqual(whole);
  });
});

describe('recognition', () => {
  test.each<[name: string | undefined, text: string, format: string]>([
    ['a.csv', '{}', 'csv'],
    ['a.CSV.gz', '{}', 'csv'],
    ['a.md', '{}', 'markdown'],
    ['a.jsonl', '[', 'jsonl'],
    ['a.jsonl.gz', '[', 'jsonl'],
    ['a.json', rows(2), 'jsonl'],
    ['a.json', document(), 'json'],
    [undefined, '[{}]', 'json'],
    [undefined, `\u{feff}${rows(1)}`, 'jsonl'],
    [undefined, '\u{feff}conversation_id,title\na,b\n', 'csv'],
    [undefined, '# Conversation: A\n', 'markdown'],
    [undefined, '{"version":"1.0","conversations":[]}', 'json'],
    [undefined, 'nonsense', 'jsonl'],
  ])('%s %j is %s', (name, text, format) => {
    expect(validate(text, { name }).format).toBe(format);
  });
});
