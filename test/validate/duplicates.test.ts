import { describe, expect, test } from 'vitest';

import { createDuplicates } from '../../src/validate/duplicates.js';
import { dialogueOf } from '../../src/validate/dialogue.js';

const talk = (question: string, answer: string): unknown => ({
  messages: [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ],
});

function duplicates(rows: readonly unknown[]): string[] {
  const found: string[] = [];
  const add = createDuplicates(({ rule, severity, message }, line) => {
    expect(severity).toBe('warning');
    found.push(`${line} ${rule} ${/line (\d+)/.exec(message)?.[1]}`);
  });
  rows.forEach((row, index) => add(row, index + 1));
  return found;
}

describe('rows that repeat others', () => {
  test('the same words, whatever the white space', () => {
    expect(duplicates([talk('a b', 'c'), talk('x', 'y'), talk(' a\n b ', 'c')])).toEqual([
      '3 duplicate-row 1',
    ]);
  });

  test('the same question with another answer', () => {
    expect(duplicates([talk('a', 'b'), talk('a', 'c')])).toEqual(['2 same-question 1']);
  });

  test('the same answer in many rows, told once', () => {
    const rows = Array.from({ length: 15 }, (_, index) => talk(`q${index}`, 'I do not know.'));
    expect(duplicates(rows)).toEqual(['10 same-answer 1']);
  });

  test('rows that say nothing are no duplicates', () => {
    expect(duplicates([{}, {}, null, 7, [], { messages: [] }, { messages: [] }])).toEqual([]);
  });

  test('far more rows than the first table holds', () => {
    const rows = Array.from({ length: 5000 }, (_, index) => talk(`q${index}`, `a${index}`));
    expect(duplicates([...rows, talk('q4321', 'a4321')])).toEqual(['5001 duplicate-row 4322']);
  });
});

test.each<[row: unknown]>([
  [
    {
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: 'q' },
        { role: 'assistant', content: 'a' },
      ],
    },
  ],
  [
    {
      system: 's',
      messages: [
        { role: 'user', content: 'q' },
        { role: 'assistant', content: 'a' },
      ],
    },
  ],
  [
    {
      system: [{ text: 's' }],
      messages: [
        { role: 'user', content: [{ text: 'q' }] },
        { role: 'assistant', content: [{ text: 'a' }] },
      ],
    },
  ],
  [
    {
      systemInstruction: { parts: [{ text: 's' }] },
      contents: [
        { role: 'user', parts: [{ text: 'q' }] },
        { role: 'model', parts: [{ text: 'a' }] },
      ],
    },
  ],
  [
    {
      conversations: [
        { from: 'system', value: 's' },
        { from: 'human', value: 'q' },
        { from: 'gpt', value: 'a' },
      ],
    },
  ],
  [{ system: 's', instruction: 'q', input: '', output: 'a', history: [] }],
  [
    {
      input: {
        messages: [
          { role: 'system', content: 's' },
          { role: 'user', content: 'q' },
        ],
      },
      preferred_output: [{ role: 'assistant', content: 'a' }],
    },
  ],
])('reads what was said in %j', (row) => {
  expect(dialogueOf(row)).toEqual([
    { role: 'system', text: 's' },
    { role: 'user', text: 'q' },
    { role: 'assistant', text: 'a' },
  ]);
});
