/** The design most often found: pg-query-stream, a row object per conversation, JSON.stringify. Takes URL, file, modules. */
import { createWriteStream } from 'node:fs';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';
import { lineOf, withMessages } from './query.mjs';

const [url, file, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Client } = require('pg');
const QueryStream = require('pg-query-stream');

const { username, pathname, searchParams } = new URL(url);
const client = new Client({
  host: searchParams.get('host'),
  port: Number(searchParams.get('port')),
  user: username,
  database: pathname.slice(1),
});
await client.connect();
await client.query(`set time zone 'UTC'`);
const rows = client.query(new QueryStream(withMessages, [], { batchSize: 100 }));
await pipeline(
  rows,
  async function* (source) {
    for await (const row of source) yield lineOf(row);
  },
  createWriteStream(file),
);
await client.end();
