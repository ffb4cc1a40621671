/**
 * Times whole processes side by side on the same data, round by round, each writing to a file:
 *
 *     npm run bench -- --conversations 1000,10000,100000 --rounds 5
 *     npm run bench -- --conversations 100000 --compare jsonl,json,markdown
 *     npm run bench -- --conversations 1000,10000,100000,1000000 --document
 *
 * It makes its own server and data in a temporary directory and removes both. Outputs are compared before anything is
 * timed. Quote the ratios: absolute times say more about the machine than about the program. `--json` prints the results
 * on standard output; `--document` puts them into docs/, beside those of other sizes.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, mkdir, rm, stat } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import postgres from 'postgres';
import { startEmbedded } from '../../dist/embedded/server.js';
import { allContestants } from './contestants.mjs';
import { document } from './document.mjs';
import { equalBytes, equalLines } from './equality.mjs';
import { judged, median } from './goals.mjs';

const { values } = parseArgs({
  options: {
    conversations: { type: 'string', default: '1000,10000,100000' },
    rounds: { type: 'string', default: '5' },
    compare: { type: 'string' },
    json: { type: 'boolean', default: false },
    document: { type: 'boolean', default: false },
  },
});
const sizes = values.conversations.split(',').map(Number);
const rounds = Number(values.rounds);
const GENERATE = fileURLToPath(new URL('generate.sql', import.meta.url));
const CLI = fileURLToPath(new URL('../../bin/lora-export.js', import.meta.url));

const parent = process.getuid?.() === 0 ? '/tmp' : tmpdir();
const directory = await mkdtemp(join(parent, 'lora-export-bench-'));
await promisify(execFile)('chmod', ['755', directory]);
const server = await startEmbedded({ stateDirectory: join(directory, 'state') });
const cleanUp = async () => {
  await server.release();
  await rm(directory, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => void cleanUp().then(() => process.exit(1)));
try {
  const results = [];
  for (const size of sizes) {
    results.push(await measure(size));
    if (values.document) await document(results.slice(-1));
  }
  tellGoals(judged(results));
  if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
} finally {
  await cleanUp();
}

async function measure(size) {
  const around = await makeData(size);
  const all = await allContestants({ ...around, directory, say });
  const chosen =
    values.compare?.split(',') ?? [...all.keys()].filter((name) => (all.get(name).most ?? size) >= size);
  const contestants = [];
  for (const name of chosen) {
    const one = all.get(name);
    if (one === undefined) throw new Error(`there is no ${name}; there are ${[...all.keys()].join(', ')}`);
    if (one.skipped === undefined) contestants.push({ name, ...one });
    else say(`skipped: ${name}, because ${one.skipped}`);
  }
  const env = { DATABASE_URL: around.url };
  for (const { name, command, args } of contestants) {
    say(`trying ${name} …`);
    await run(env, command, args);
  }
  await compare(contestants, all);
  // How many others want the cores: with any, wall times are theirs as well.
  const [load] = loadavg();
  const figures = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { command, args }] of contestants.entries()) {
      figures[index].push(await run(env, command, args));
    }
  }
  const rows = [];
  for (const [index, { name, file }] of contestants.entries()) {
    const bytes = file === undefined ? 0 : (await stat(file)).size;
    rows.push({ name, ...summary(figures[index]), bytes, runs: figures[index] });
  }
  tell(size, rows);
  return { size, rounds, load, rows, skipped: chosen.filter((name) => all.get(name).skipped !== undefined) };
}

/** The tables of the size before make room; those of the log stay. */
async function makeData(size) {
  const { socketDirectory: host, port, user, database } = server;
  const url = `postgresql://${user}@localhost/${database}?host=${encodeURIComponent(host)}&port=${port}`;
  const sql = postgres({ host, port, user, database, max: 1, onnotice: () => {} });
  say(`making ${size.toLocaleString('en')} conversations …`);
  await sql`drop table if exists conversation_turns, conversations cascade`;
  await run({ DATABASE_URL: url }, 'node', [CLI, 'init', '--with-source']);
  await sql`select set_config('bench.conversations', ${String(size)}, false)`;
  await sql.file(GENERATE);
  await sql`discard temporary`;
  await sql`vacuum analyze`;
  await sql.end();
  await mkdir(join(directory, 'modules'), { recursive: true });
  return { url, host, port, user, database };
}

async function compare(contestants, all) {
  const names = contestants.map(({ name }) => name);
  for (const { name, file, equals } of contestants) {
    if (equals === undefined || !names.includes(equals)) continue;
    const reference = all.get(equals).file;
    if (equals === 'csv') await equalBytes(reference, file);
    else await equalLines(reference, file);
    say(`equal: ${name} and ${equals}`);
  }
}

/** Runs a command to its end; seconds of wall clock and CPU, and peak memory in MB, of that process alone. */
function run(env, command, args) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn('/usr/bin/time', ['-f', '%e %U %S %M', command, ...args], {
      env: { PATH: process.env.PATH, HOME: directory, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (chunk) => (text += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`${command} ended with ${code}: ${text}`));
      const [, user, system, kib] = text.trim().split('\n').at(-1).split(' ').map(Number);
      const wall = Number(process.hrtime.bigint() - started) / 1e9;
      return resolve({ wall, cpu: user + system, rss: (kib * 1024) / 1e6 });
    });
  });
}

function summary(runs) {
  const of = (key) => median(runs.map((one) => one[key]));
  return { wall: of('wall'), cpu: of('cpu'), rss: Math.max(...runs.map(({ rss }) => rss)) };
}

function tell(size, rows) {
  say(
    `\n${size.toLocaleString('en')} conversations, medians of ${rounds} (ratio: wall, to the first, round by round)`,
  );
  for (const { name, wall, cpu, rss, bytes, runs } of rows) {
    const ratio = median(runs.map((one, round) => one.wall / rows[0].runs[round].wall));
    say(
      `${name.padEnd(18)} wall ${wall.toFixed(2).padStart(7)} s  cpu ${cpu.toFixed(2).padStart(6)} s  ` +
        `peak ${rss.toFixed(0).padStart(4)} MB  ${(bytes / 1e6 / wall).toFixed(0).padStart(4)} MB/s  ` +
        `${((1e6 * wall) / size).toFixed(0).padStart(5)} µs each  ratio ${ratio.toFixed(2)}`,
    );
  }
}

function tellGoals(goals) {
  say('');
  for (const { what, most, measured } of goals) {
    if (measured === null) continue;
    const verdict =
      most === null ? 'reported' : `goal ${most}, ${measured <= most ? 'reached' : 'not reached'}`;
    say(`${measured.toFixed(2).padStart(7)}  ${what}: ${verdict}`);
  }
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
