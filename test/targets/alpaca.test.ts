import { expect, it } from 'vitest';

import { alpaca } from '../../src/targets/alpaca.js';
import { exampleOf } from '../../src/targets/encoder.js';
import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { aConversation } from '../support/conversations.js';
import { expectAgreement, expectNoThrow } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const shape = alpaca.shapes['history']!;
const row = {
  instruction: 'Where is order 7?',
  input: '',
  output: 'It ships today.',
  system: 'Be careful.',
  history: [['Hi', 'Hello.']],
};

it('writes the last exchange, and those before it as history', () => {
  const turns = [
    'system: Be careful.',
    'user: Hi',
    'assistant: Hello.',
    'user: Where is order 7?',
    'assistant: It ships today.',
  ];
  expect(rowOf(alpaca, { turns }, shape)!).toBe(`${JSON.stringify(row)}\n`);
});

it('writes every column in every row', () => {
  expect(rowOf(alpaca, { turns: ['user: a', 'assistant: b'] }, shape)!).toBe(
    '{"instruction":"a","input":"","output":"b","system":"","history":[]}\n',
  );
});

it('loses no text of turns that were kept out of order', () => {
  const conversation = aConversation({
    turns: ['assistant: a', 'user: b', 'user: c', 'assistant: d', 'assistant: e', 'user: f'],
  });
  const out = new ByteWriter();
  shape.write(exampleOf(conversation, alpaca), out);
  expect(JSON.parse(out.view().toString())).toMatchObject({
    instruction: 'f',
    output: '',
    history: [
      ['', 'a'],
      ['b\n\nc', 'd\n\ne'],
    ],
  });
});

it.each<[string, unknown, string[]]>([
  ['a sound row', row, []],
  ['the three columns of the first Alpaca', { instruction: 'a', input: '', output: 'b' }, []],
  ['a question in input alone', { ...row, instruction: '', input: 'x' }, []],
  ['null for what is optional', { ...row, input: null, system: null, history: null }, []],
  ['text', 'x', ['error not-an-object @ ']],
  ['no output', { instruction: 'a' }, ['error missing-key @ output']],
  ['no instruction', { output: 'a' }, ['error missing-key @ instruction']],
  ['an empty output', { ...row, output: '' }, ['error empty-content @ output']],
  ['a blank output', { ...row, output: ' \n' }, ['error empty-content @ output']],
  ['no question', { ...row, instruction: ' ' }, ['error empty-content @ instruction']],
  ['an output that is a list', { ...row, output: [] }, ['error wrong-type @ output']],
  ['a system prompt that is a list', { ...row, system: [] }, ['error wrong-type @ system']],
  ['history that is text', { ...row, history: 'x' }, ['error wrong-type @ history']],
  ['history of one side', { ...row, history: [['a']] }, ['error wrong-type @ history[0]']],
  ['history of objects', { ...row, history: [{ a: 1 }] }, ['error wrong-type @ history[0]']],
  [
    'history of which one side is blank',
    { ...row, history: [['', 'a']] },
    ['warning empty-content @ history[0]'],
  ],
  ['a mark of chat templates', { ...row, output: 'a</s>' }, ['warning reserved-text @ output']],
  ['another column', { ...row, id: 1 }, ['warning extra-key @ id']],
])('finds in %s', (_what, given, problems) => {
  expect(told(shape, given)).toEqual(problems);
});

it('never throws', () => {
  expectNoThrow(shape, ['instruction', 'input', 'output', 'system', 'history']);
});

it('writes nothing that it refuses', () => {
  expectAgreement(shape, (conversation) => written(alpaca, conversation, shape));
});

it('tells what becomes of conversations of several turns', () => {
  expect(alpaca.advice?.('train.jsonl', 'history')).toContain('history');
});
