import * as fc from 'fast-check';
import { expect } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import type { Conversation } from '../../src/conversation.js';
import { judgeWith } from '../../src/judging/judge.js';
import { pairUp } from '../../src/preferences/pair-up.js';
import { policyOf } from '../../src/judging/rules.js';
import type { Preference, RowShape, Target } from '../../src/targets/target.js';
import { hostileConversations, problemsOf } from './target-testing.js';

/** The row of a pair: a conversation, and the same with another last answer. Null where either is left out. */
export function pairOf(
  target: Target,
  shape: RowShape<Preference>,
  conversation: Conversation,
  rejected: string,
): string | null {
  const judge = judgeWith(policyOf('strict', target.policy), {
    tools: target.tools === 'in-turn' ? 'in-turn' : target.tools === true ? 'allowed' : 'refused',
    reserved: target.reserved?.map((mark) => Buffer.from(mark)),
  });
  const { conversation: approved } = judge(conversation);
  if (approved === null) return null;
  const last = approved.turns.length - 1;
  const turns = approved.turns.map((turn, index) =>
    index === last ? { ...turn, content: Text.of(rejected) } : turn,
  );
  const { preferences } = pairUp(approved, [{ ...approved, turns, parentId: Text.of(approved.id) }], target);
  const [preference] = preferences;
  if (preference === undefined) return null;
  const out = new ByteWriter(16);
  shape.write(preference, out);
  return out.view().toString('utf8');
}

/** Holds what is written from hostile conversations against the check of the same shape. */
export function expectAgreement(
  shape: Pick<RowShape, 'check'>,
  rowOf: (conversation: Conversation) => string | null,
): void {
  let rows = 0;
  fc.assert(
    fc.property(hostileConversations(), (conversation) => {
      const row = rowOf(conversation);
      if (row === null) return;
      rows++;
      expect(row.indexOf('\n')).toBe(row.length - 1);
      const errors = problemsOf(shape, JSON.parse(row)).filter(({ severity }) => severity === 'error');
      expect(errors, row).toEqual([]);
    }),
    { numRuns: 400 },
  );
  expect(rows).toBeGreaterThan(20);
}

/** Holds the check against rows of any kind, objects with the given keys among them; it throws in none. */
export function expectNoThrow(shape: Pick<RowShape, 'check'>, keys: readonly string[]): void {
  fc.assert(
    fc.property(anyRow(keys), (row) => void problemsOf(shape, row)),
    { numRuns: 400 },
  );
}

function anyRow(keys: readonly string[]): fc.Arbitrary<unknown> {
  const plain = [
    null,
    true,
    0,
    0.5,
    '',
    ' ',
    'user',
    'assistant',
    'system',
    'model',
    'human',
    'gpt',
    'tool',
    'function',
    '{}',
  ];
  const key = fc.constantFrom(...keys, '__proto__', 'constructor', 'toString', 'a\nb');
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<unknown>(...plain),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  }));
  return value;
}
