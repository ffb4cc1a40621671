import { describe, expect, test } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { judgeWith } from '../../src/judging/judge.js';
import { policyOf } from '../../src/judging/rules.js';
import { targetEncoder } from '../../src/targets/encoder.js';
import { targets } from '../../src/targets/all.js';
import { targetNames } from '../../src/targets/index.js';
import type { RowShape, Target } from '../../src/targets/target.js';
import { createValidator } from '../../src/validate.js';
import { aConversation, HOSTILE_TEXTS } from '../support/conversations.js';
import { errors, validate } from './support.js';

const all: readonly [string, Target][] = targetNames.map((name) => [name, targets[name]]);
const shapes = all.flatMap(([name, target]) =>
  Object.entries(target.shapes).map(([shape, rowShape]): [string, string, Target, RowShape] => [
    name,
    shape,
    target,
    rowShape,
  ]),
);

const conversations = HOSTILE_TEXTS.flatMap((text, index) => [
  aConversation({ turns: ['system: s', `user: q ${index} ${text}`, `assistant: a ${index} ${text}`] }),
  aConversation({
    turns: [`user: q2 ${index}`, `user: more ${text}`, `assistant: a2 ${index}`, 'user: bye'],
  }),
]);

describe.each(shapes)('%s, shape %s', (targetName, shape, target, rowShape) => {
  function written(): Buffer {
    const judge = judgeWith(policyOf('strict', target.policy), {
      tools: target.tools === 'in-turn' ? 'in-turn' : target.tools === true ? 'allowed' : 'refused',
      reserved: target.reserved?.map((mark) => Buffer.from(mark)),
    });
    const encoder = targetEncoder(target, rowShape);
    const out = new ByteWriter(1024);
    encoder.begin(out, null);
    for (const original of conversations) {
      const { conversation } = judge(original);
      if (conversation !== null) encoder.conversation(conversation, out);
    }
    encoder.end(out);
    return Buffer.from(out.view());
  }

  test('what an export writes passes, told the shape or not', () => {
    const bytes = written();
    for (const told of [shape, undefined]) {
      const summary = validate(bytes, { target, targetName, shape: told, name: 'train.jsonl' });
      expect(errors(summary)).toEqual([]);
      expect(summary.shape).toBe(shape);
    }
  });

  test('whatever a row is, it is refused and nothing is thrown', () => {
    const values = [
      'null',
      '1',
      '"x"',
      'true',
      '{}',
      '{"messages":null}',
      '{"messages":[[]]}',
      '{"messages":[{"role":{}}]}',
      '{"__proto__":1}',
      '{"prompt":7,"completion":[{}]}',
      '{"conversations":[null]}',
      '{"contents":{}}',
    ];
    for (const value of values) {
      expect(validate(`${value}\n`, { target, targetName, shape, format: 'jsonl' }).valid).toBe(false);
    }
  });
});

test.each(all.filter(([, { preferences }]) => preferences !== undefined))(
  '%s takes pairs',
  (targetName, target) => {
    expect(() => createValidator({ target, targetName }).end()).not.toThrow();
  },
);
