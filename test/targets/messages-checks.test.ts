import { describe, expect, it } from 'vitest';

import { checkMessagesRow } from '../../src/targets/messages-checks.js';
import type { MessagesRules } from '../../src/targets/messages-rules.js';
import { problemsOf, say, told } from './target-testing.js';

const checkedBy = (rules: Partial<MessagesRules> = {}) => ({
  check: (row: unknown, report: Parameters<typeof checkMessagesRow>[1]): void =>
    checkMessagesRow(row, report, { reader: 'The reader', ...rules }),
});
const strict = checkedBy();
const user = say('user', 'hi');
const answer = say('assistant', 'hello');
const row = (...messages: unknown[]): unknown => ({ messages });

describe('a reader of which nothing is said', () => {
  it('takes a system prompt and an alternating dialogue', () => {
    expect(problemsOf(strict, row(say('system', 'x'), user, answer, user, answer))).toEqual([]);
  });

  it.each<[string, unknown, string[]]>([
    ['other keys', { messages: [user, answer], tools: [] }, ['error extra-key @ tools']],
    [
      'tools',
      row(user, say('assistant', 'a', { tool_calls: [{}] })),
      ['error tool-call @ messages[1].tool_calls'],
    ],
    ['answers of tools', row(user, say('tool', 'x'), answer), ['error unknown-role @ messages[1].role']],
    [
      'several system messages',
      row(say('system', 'x'), say('system', 'y'), user, answer),
      ['error several-system @ messages[1].role'],
    ],
    [
      'late system messages',
      row(user, answer, say('system', 'x'), user, answer),
      ['error late-system @ messages[2].role'],
    ],
    ['two answers in a row', row(user, answer, answer), ['error equal-neighbours @ messages[2].role']],
    ['an empty question', row(say('user', ''), answer), ['error empty-content @ messages[0].content']],
  ])('refuses %s', (_what, bad, expected) => {
    expect(told(strict, bad)).toEqual(expected);
  });
});

it('says nothing of the neighbours of a message that cannot be read, nor that the answer is missing', () => {
  expect(told(strict, row(user, 7, user, answer))).toEqual(['error not-an-object @ messages[1]']);
  expect(told(strict, row(user, say('gpt', 'hello')))).toEqual(['error unknown-role @ messages[1].role']);
});

it('names every defect of a row with several', () => {
  expect(
    told(strict, { messages: [say('user', null), say('human', 'x'), say('assistant', 7)], a: 1, b: 2 }),
  ).toEqual([
    'error extra-key @ a',
    'error extra-key @ b',
    'error missing-content @ messages[0].content',
    'error unknown-role @ messages[1].role',
    'error wrong-type @ messages[2].content',
  ]);
});

it('takes a role for none of the names that every object has', () => {
  for (const role of ['constructor', '__proto__', 'toString']) {
    expect(told(strict, row(say(role, 'x'), user, answer))).toEqual([
      'error unknown-role @ messages[0].role',
    ]);
  }
});

it('repeats keys and roles cut and made visible, and nothing else of the row', () => {
  const secret = 'my password is 12345';
  const [key, role] = problemsOf(strict, {
    messages: [say('\u001b[2J'.padEnd(100, 'x'), secret), user, answer],
    ['k'.repeat(200)]: secret,
  });
  expect(key?.message).toBe(`The reader refuses the key "${'k'.repeat(60)}…"`);
  expect(role?.message).toContain('"\\\\u{1b}[2Jx');
  expect(JSON.stringify([key, role])).not.toContain(secret);
});

it('uses the words and the verdict of the reader where it has its own', () => {
  const rules = {
    verdicts: { 'no-assistant': 'warning' },
    says: { 'no-assistant': () => 'what a pity' },
  } as const;
  expect(problemsOf(checkedBy(rules), row(user))).toEqual([
    {
      rule: 'no-assistant',
      path: 'messages',
      severity: 'warning',
      message: 'what a pity',
      fix: 'Add the answer, or remove the row.',
    },
  ]);
});

it('says nothing about what the reader accepts', () => {
  expect(
    problemsOf(checkedBy({ verdicts: { 'extra-key': 'accepted' } }), { messages: [user, answer], id: 7 }),
  ).toEqual([]);
});
