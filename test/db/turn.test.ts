import { afterAll, beforeAll, expect, it } from 'vitest';

import { parseDatabaseUrl } from '../../src/db/target.js';
import { takeTurn, type Refusal, type Turn } from '../../src/db/turn.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { endSessions } from '../support/seed.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase('empty');
});
afterAll(() => database.drop());

const two = new Date('2025-11-01T02:00:00Z');
const three = new Date('2025-11-01T03:00:00Z');

function take(turn: Turn, use: () => Promise<void> = () => Promise.resolve()): Promise<Refusal | null> {
  return takeTurn(parseDatabaseUrl(database.url, 'the test'), { purpose: 'turn' }, turn, use);
}

it('lets one do what is due, and the others know why not', async () => {
  const turn = { work: 'cleanup', slot: two };
  const answers: (Refusal | null)[] = [];
  const first = await take(turn, async () => {
    answers.push(await take(turn), await take({ work: 'cleanup', slot: three }));
    answers.push(await take({ work: 'something else', slot: two }));
  });
  expect(first).toBeNull();
  expect(answers).toEqual(['taken', 'busy', null]);
  expect(await take(turn)).toBeNull();
});

it('ends with whoever has it, and with its connection', async () => {
  const turn = { work: 'cleanup', slot: two };
  await expect(take(turn, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await take(turn)).toBeNull();
  await expect(take(turn, () => endSessions(database.sql))).rejects.toThrow();
  expect(await take(turn)).toBeNull();
});
