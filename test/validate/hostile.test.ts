import * as fc from 'fast-check';
import { test } from 'vitest';

import { targets } from '../../src/targets/all.js';
import { targetNames } from '../../src/targets/index.js';
import { createValidator } from '../../src/validate.js';
import { FILE_FORMATS } from '../../src/validate/recognise.js';

/** Pieces of training files, whole and broken, in any order. */
const piece = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ',',
    ':',
    '\n',
    '\r\n',
    '\\ud800',
    '\u{feff}',
    'NaN',
    '0',
    'null',
    '> ',
    '---',
    '""',
    '{"messages":[',
    '{"role":"user","content":"q"}',
    '{"role":"assistant","content":"a"}',
    ']}\n',

    '{"version":"1.0","conversations":[',
    '"__proto__":',
    'conversation_id,role\n',
    '# Conversation: A\n',
    '**User:**\n',
  ),
  fc.json(),
  fc.string({ unit: 'binary' }),
);
const bytes = fc.oneof(
  fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(''))),
  fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
);

test('no file makes a validator throw, and pieces of it give what the whole gives', () => {
  fc.assert(
    fc.property(
      bytes,
      fc.constantFrom(...FILE_FORMATS),
      fc.constantFrom(undefined, ...targetNames),
      fc.integer({ min: 1, max: 20 }),
      (file, format, targetName, size) => {
        const target = targetName === undefined ? undefined : targets[targetName];
        const check = (length: number): string => {
          const validator = createValidator({ format, target, targetName, maxRowBytes: 100 });
          for (let from = 0; from < file.length; from += length)
            validator.write(file.subarray(from, from + length));
          return JSON.stringify(validator.end());
        };
        return check(size) === check(Math.max(file.length, 1));
      },
    ),
    { numRuns: 3000 },
  );
});
