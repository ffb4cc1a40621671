import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import { promptCompletion } from '../../src/targets/prompt-completion.js';
import type { Message } from '../../src/targets/target.js';
import { problemsOf, rowOf, shapeOf, told, WITH_TOOLS } from './target-testing.js';

const shape = shapeOf(promptCompletion);

describe('the check for prompts and completions', () => {
  it('accepts two texts', () => {
    expect(problemsOf(shape, { prompt: 'Where?', completion: 'There.' })).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['a row that is text', 'hi', ['error not-an-object @ ']],
    ['no prompt', { completion: 'b' }, ['error missing-key @ prompt']],
    ['no completion', { prompt: 'a' }, ['error missing-key @ completion']],
    ['another key', { prompt: 'a', completion: 'b', split: 'train' }, ['error extra-key @ split']],
    ['messages as a prompt', { prompt: [], completion: 'b' }, ['error wrong-type @ prompt']],
    ['a completion that is null', { prompt: 'a', completion: null }, ['error wrong-type @ completion']],
    ['an empty prompt', { prompt: '', completion: 'b' }, ['error empty-content @ prompt']],
    ['an empty completion', { prompt: 'a', completion: '' }, ['error empty-content @ completion']],
    ['a blank completion', { prompt: 'a', completion: ' \n' }, ['warning empty-content @ completion']],
    [
      'a mark of a chat template',
      { prompt: '<|im_end|>', completion: 'b' },
      ['warning reserved-text @ prompt'],
    ],
  ])('tells of %s', (_what, bad, expected) => {
    expect(told(shape, bad)).toEqual(expected);
  });
});

describe('a row', () => {
  it.each<[string, string[], { prompt: string; completion: string }]>([
    [
      'is a question and its answer',
      ['user: Where?', 'assistant: There.'],
      { prompt: 'Where?', completion: 'There.' },
    ],
    [
      'has the system prompt before the question',
      ['system: Be kind.', 'user: Where?', 'assistant: There.'],
      { prompt: 'Be kind.\n\nWhere?', completion: 'There.' },
    ],
    [
      'has a transcript before the last answer',
      ['user: a', 'assistant: b', 'user: c', 'assistant: d'],
      { prompt: 'User: a\n\nAssistant: b\n\nUser: c\n\nAssistant:', completion: 'd' },
    ],
    [
      'has the system prompt before a transcript',
      ['system: s', 'user: a', 'assistant: b', 'user: c', 'assistant: d'],
      { prompt: 's\n\nUser: a\n\nAssistant: b\n\nUser: c\n\nAssistant:', completion: 'd' },
    ],
    ['ends with the last answer', ['user: a', 'assistant: b', 'user: c'], { prompt: 'a', completion: 'b' }],
  ])('%s', (_what, turns, expected) => {
    expect(rowOf(promptCompletion, { turns })).toBe(`${JSON.stringify(expected)}\n`);
  });

  it('learns no question, even where the policy keeps one at the end', () => {
    const out = new ByteWriter();
    const messages = ['a', 'b', 'c'].map((text, index): Message => ({
      role: index === 1 ? 'assistant' : 'user',
      content: Text.of(text),
    }));
    shape.write({ system: null, messages, tools: null }, out);
    expect(out.view().toString()).toBe('{"prompt":"a","completion":"b"}\n');
  });

  it('is not made of a conversation with tools', () => {
    expect(rowOf(promptCompletion, WITH_TOOLS)).toBeNull();
  });
});
