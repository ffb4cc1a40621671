import * as fc from 'fast-check';
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { parseArrayText } from '../../src/db/array-text.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { anyCharacter } from '../support/hostile-strings.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase('empty');
});
afterAll(() => database.drop());

/** What the server prints for an array, built from parameters one by one, so that no array text is written here. */
async function printed(sql: postgres.Sql, elements: readonly (string | null)[]): Promise<string> {
  const [row] = await sql<{ text: string }[]>`
    select coalesce(array_agg(value #>> '{}' order by place), '{}')::text[]::text as text
    from json_array_elements(${JSON.stringify(elements)}::text::json) with ordinality as e (value, place)`;
  return row?.text ?? '';
}

it('takes apart whatever the server prints', async () => {
  const element = fc.oneof(
    { arbitrary: fc.constant(null), weight: 1 },
    {
      arbitrary: fc.constantFrom(
        '',
        'NULL',
        'null',
        'Null',
        '{',
        '}',
        '{}',
        ',',
        '"',
        '\\',
        '\\"',
        ' ',
        ' a',
        'a ',
      ),
      weight: 4,
    },
    {
      arbitrary: fc.constantFrom('user', 'a,b', '"NULL"', '\n', '\t', '\v', '\u00a0', 'é\u{1f469}', "'"),
      weight: 3,
    },
    // PostgreSQL text holds every character but NUL.
    { arbitrary: fc.string({ unit: anyCharacter }).map((text) => text.replaceAll('\0', '')), weight: 3 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(element, { maxLength: 8 }), async (elements) => {
      expect(parseArrayText(await printed(database.sql, elements))).toEqual(elements);
    }),
    { numRuns: 200 },
  );
});

it.each<[string, (string | null)[]]>([
  ['{}', []],
  ['{user,assistant}', ['user', 'assistant']],
  ['{1,2,NULL}', ['1', '2', null]],
  ['{"",NULL,"NULL"}', ['', null, 'NULL']],
  [String.raw`{user,"odd \"role\"","back\\slash"}`, ['user', 'odd "role"', String.raw`back\slash`]],
  ['{"a,b",c}', ['a,b', 'c']],
])('reads %s', (text, elements) => {
  expect(parseArrayText(text)).toEqual(elements);
});
