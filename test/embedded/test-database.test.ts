import { expect, test } from 'vitest';

import { createDatabase } from '../support/database.js';

test('a test database is empty or holds the export log, and is gone after drop', async () => {
  const empty = await createDatabase('empty');
  const [row] =
    await empty.sql`select count(*)::int as tables from information_schema.tables where table_schema = 'public'`;
  expect(row?.['tables']).toBe(0);
  await empty.drop();
  await empty.drop();

  const ready = await createDatabase('ready');
  const found =
    await ready.sql`select datname from pg_database where datname in (${empty.name}, ${ready.name})`;
  expect(found.map((database) => database['datname'])).toEqual([ready.name]);
  await ready.drop();
});
