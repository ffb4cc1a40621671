/** Both tables whole into memory, then one string per line, then one file. */
import { writeFile } from 'node:fs/promises';
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
  connection: { TimeZone: 'UTC' },
  onnotice: () => {},
});
const rows = await sql.unsafe(conversations);
const turns =
  await sql`select conversation_id, role, content from conversation_turns order by conversation_id, turn_number`;
await sql.end();
const messages = new Map(rows.map(({ id }) => [id, []]));
for (const { conversation_id, role, content } of turns)
  messages.get(conversation_id)?.push({ role, content });
await writeFile(
  file,
  rows.map((row) => lineOf(Object.assign(row, { messages: messages.get(row.id) }))),
);
