import { expect, it } from 'vitest';

import { withSystemPrompt } from '../../src/judging/system-prompt.js';
import { aConversation, type ConversationParts } from '../support/conversations.js';

const shown = ({ turns }: ReturnType<typeof aConversation>): string[] =>
  turns.map(({ number, role, content }) => `${number} ${role}: ${String(content)}`);

function fromParameter(path: string, parts: ConversationParts) {
  const prompt = withSystemPrompt({ parameter: path });
  return { turns: shown(prompt.apply(aConversation(parts))), counts: prompt.counts };
}

it('puts a text before the first turn and numbers the others after it', () => {
  const { apply, counts } = withSystemPrompt({ text: 'Be kind.' });
  expect(shown(apply(aConversation()))).toEqual(['1 system: Be kind.', '2 user: hi', '3 assistant: hello']);
  expect(counts).toEqual({ added: 1, alreadyThere: 0, missing: 0 });
});

it.each([
  [['system: stored', 'user: hi', 'assistant: hello']],
  [['user: hi', 'system: late', 'assistant: hello']],
])('never adds a second one to %j', (turns) => {
  const { apply, counts } = withSystemPrompt({ text: 'Be kind.' });
  const conversation = aConversation({ turns });
  expect(apply(conversation)).toBe(conversation);
  expect(counts).toEqual({ added: 0, alreadyThere: 1, missing: 0 });
});

it('adds none when applied to its own result', () => {
  const { apply } = withSystemPrompt({ text: 'Be kind.' });
  expect(apply(apply(aConversation())).turns).toHaveLength(3);
});

it('keeps gaps and repetitions of turn numbers visible', () => {
  const turns = [2, 2, 5].map((number) => ({ number, role: 'user', content: 'a' }));
  const { apply } = withSystemPrompt({ text: 's' });
  expect(apply(aConversation({ turns })).turns.map(({ number }) => number)).toEqual([1, 3, 3, 6]);
});

it('finds a text below parameters by the path of its keys', () => {
  const parameters = '{"persona":{"prompt":"Be \\"kind\\"."}}';
  expect(fromParameter('persona.prompt', { parameters })).toEqual({
    turns: ['1 system: Be "kind".', '2 user: hi', '3 assistant: hello'],
    counts: { added: 1, alreadyThere: 0, missing: 0 },
  });
});

it.each([
  null,
  '{}',
  'null',
  '[]',
  '{"a":null}',
  '{"a":{"b":7}}',
  '{"a":{"b":" \\n"}}',
  '{"a":{"b":{}}}',
  '{"a":"b"}',
  'no json',
])('leaves a conversation alone whose parameters are %j, and counts it', (parameters) => {
  expect(fromParameter('a.b', { parameters })).toEqual({
    turns: ['1 user: hi', '2 assistant: hello'],
    counts: { added: 0, alreadyThere: 0, missing: 1 },
  });
});

it('takes nothing that objects have of themselves', () => {
  expect(fromParameter('constructor.name', { parameters: '{}' }).counts.missing).toBe(1);
});

it('adds no blank text', () => {
  const { apply, counts } = withSystemPrompt({ text: ' ' });
  expect(apply(aConversation()).turns).toHaveLength(2);
  expect(counts.missing).toBe(1);
});
