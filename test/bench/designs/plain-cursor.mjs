/** A careful plain design: a cursor over conversations, their turns by `= any(ids)`, objects, JSON.stringify. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { conversations, lineOf } from './query.mjs';

const [url, file] = process.argv.slice(2);
const { username, pathname, searchParams } = new URL(url);
const sql = postgres({
  host: searchParams.get('host'),
  port: Number(searchParams.get('port')),
  user: username,
  database: pathname.slice(1),
  max: 1,
  onnotice: () => {},
});
await sql.begin('isolation level repeatable read read only', async (tx) => {
  await tx`set local time zone 'UTC'`;
  await pipeline(lines(tx), createWriteStream(file));
});
await sql.end();

async function* lines(tx) {
  await tx.unsafe(`declare bench no scroll cursor for ${conversations}`);
  for (;;) {
    const batch = await tx`fetch forward 500 from bench`;
    if (batch.length === 0) return;
    const turns = await tx`
      select conversation_id, role, content from conversation_turns
      where conversation_id = any(${batch.map(({ id }) => id)}) order by conversation_id, turn_number`;
    const messages = new Map(batch.map(({ id }) => [id, []]));
    for (const { conversation_id, role, content } of turns) {
      messages.get(conversation_id).push({ role, content });
    }
    yield batch.map((row) => lineOf({ ...row, messages: messages.get(row.id) })).join('');
  }
}
