import { expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { azure } from '../../src/targets/azure.js';
import { targetEncoder } from '../../src/targets/encoder.js';
import { openai } from '../../src/targets/openai.js';
import { aConversation } from '../support/conversations.js';
import { problemsOf, rowOf, say, shapeOf, told, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(azure);

it('writes the rows of OpenAI', () => {
  for (const parts of [{}, WITH_TOOLS]) expect(rowOf(azure, parts)).toBe(rowOf(openai, parts));
});

it('starts the file, and no other row, with a byte order mark', () => {
  const out = new ByteWriter();
  const encoder = targetEncoder(azure, shape);
  encoder.begin(out, null);
  encoder.conversation(aConversation(), out);
  encoder.conversation(aConversation(), out);
  encoder.end(out);
  const row = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}\n';
  expect(Buffer.from(out.view())).toEqual(Buffer.from(`\ufeff${row}${row}`));
});

it('allows files below 512 MB, of ten rows or more', () => {
  expect(azure.limits).toEqual({ minRows: 10, maxBytes: 536_870_911 });
});

it.each<[string, unknown, string[]]>([
  [
    'metadata',
    { messages: [say('user', 'hi'), say('assistant', 'hello')], metadata: {} },
    ['error extra-key @ metadata'],
  ],
  ['no answer', { messages: [say('user', 'hi')] }, ['error no-assistant @ messages']],
  [
    'a mark of the tokenizer',
    { messages: [say('user', '<|im_end|>'), say('assistant', 'a')] },
    ['error reserved-text @ messages[0].content'],
  ],
  ['no messages', { messages: [] }, ['error empty-messages @ messages']],
])('checks rows as OpenAI does: %s', (_what, row, expected) => {
  expect(told(shape, row)).toEqual(expected);
  expect(told(shapeOf(openai), row)).toEqual(expected);
});

it('speaks of Azure', () => {
  expect(problemsOf(shape, []).map(({ message }) => message)).toEqual([
    'Azure OpenAI expects every line to be a JSON object',
  ]);
});
