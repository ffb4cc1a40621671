// One process among several: holds the embedded server of the state directory argv[2] until its standard input ends.
import postgres from 'postgres';

import { startEmbedded } from '../../dist/embedded/server.js';

const server = await startEmbedded({ stateDirectory: process.argv[2] });
const { socketDirectory: host, port, user, database } = server;
const sql = postgres({ host, port, user, database, max: 1, onnotice: () => {} });
const [row] = await sql`select current_user as user, current_database() as database`;
process.stdout.write(`${JSON.stringify(row)}\n`);
process.stdin.resume();
await new Promise((resolve) => {
  process.stdin.once('close', resolve);
});
await sql.end();
await server.release();
