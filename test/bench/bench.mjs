/**
 * Times whole processes side by side on the same data, in one run: `npm run bench -- --conversations 100000 --rounds 5`,
 * against `psql \copy`; with `--encoders`, every format and target against plain JSONL.
 * It makes its own server and data in a temporary directory and removes both. Quote the ratios: absolute times say more
 * about the machine than about the program.
 */
import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { isDeepStrictEqual } from 'node:util';
import postgres from 'postgres';
import { startEmbedded } from '../../dist/embedded/server.js';

const { values } = parseArgs({
  options: {
    conversations: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    encoders: { type: 'boolean', default: false },
  },
});
const size = Number(values.conversations);
const rounds = Number(values.rounds);
const cli = fileURLToPath(new URL('../../bin/lora-export.js', import.meta.url));
const GENERATE = fileURLToPath(new URL('generate.sql', import.meta.url));

const directory = await mkdtemp(join(tmpdir(), 'lora-export-bench-'));
await promisify(execFile)('chmod', ['755', directory]);
const server = await startEmbedded({ stateDirectory: join(directory, 'state') });
try {
  await main();
} finally {
  await server.release();
  await rm(directory, { recursive: true, force: true });
}

async function main() {
  const { socketDirectory: host, port, user, database } = server;
  const url = `postgresql://${user}@localhost/${database}?host=${encodeURIComponent(host)}&port=${port}`;
  const sql = postgres({ host, port, user, database, max: 1, onnotice: () => {} });
  say(`making ${size} conversations …`);
  await run({ DATABASE_URL: url }, 'node', [cli, 'init', '--with-source']);
  await sql`select set_config('bench.conversations', ${String(size)}, false)`;
  await sql.file(GENERATE);
  await sql`vacuum analyze`;
  await sql.end();

  const env = { DATABASE_URL: url };
  const contestants = values.encoders ? await everyEncoder() : await againstPsql(url);
  for (const { command, args } of contestants) await run(env, command, args); // warm-up
  if (!values.encoders && contestants.length === 2) {
    say(`equal output: ${await haveEqualLines(contestants[0].file, contestants[1].file)} lines`);
  }
  const figures = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, command, args } of contestants) figures.get(name).push(await run(env, command, args));
  }
  report(contestants, figures);
}

/** Ours first; the others are what it is measured against. */
async function againstPsql(url) {
  const file = join(directory, 'psql.jsonl');
  const args = [
    url,
    '-X',
    '-q',
    '-v',
    'ON_ERROR_STOP=1',
    '-c',
    `set time zone 'UTC'`,
    '-c',
    copyStatement(file),
  ];
  const ours = exportOf('lora-export', []);
  if (await isInstalled('psql')) return [ours, { name: 'psql \\copy', file, command: 'psql', args }];
  say('psql is not installed: nothing to compare with');
  return [ours];
}

/** Plain JSONL last: the ratios are to it. */
async function everyEncoder() {
  const { formatNames } = await import('../../dist/formats/index.js');
  const { targets } = await import('../../dist/targets/all.js');
  const { targetNames } = await import('../../dist/targets/index.js');
  const ofConversations = targetNames.filter((name) => Object.keys(targets[name].shapes).length > 0);
  return [
    ...formatNames.filter((name) => name !== 'jsonl').map((name) => exportOf(name, ['--format', name])),
    ...ofConversations.map((name) => exportOf(`--target ${name}`, ['--target', name])),
    exportOf('target, unchecked', ['--target', 'together', '--no-verify']),
    exportOf('jsonl', []),
  ];
}

function exportOf(name, flags) {
  const file = join(directory, `${name.replace(/\W+/g, '-')}.out`);
  return {
    name,
    file,
    command: 'node',
    args: [cli, 'export', ...flags, '--scope', 'approved', '--force', '--output', file],
  };
}

/** Medians, and the wall time of each contestant as a ratio to the last one, round by round. */
function report(contestants, figures) {
  const last = figures.get(contestants.at(-1).name);
  const rows = contestants.map(({ name }) => {
    const runs = figures.get(name);
    return { ...summary(name, runs), ratio: median(runs.map(({ wall }, index) => wall / last[index].wall)) };
  });
  for (const { name, wall, cpu, rss, ratio } of rows) {
    say(
      `${name.padEnd(26)} wall ${wall.toFixed(2)} s  cpu ${cpu.toFixed(2)} s  ` +
        `peak ${(rss / 1024).toFixed(0)} MiB  ratio ${ratio.toFixed(3)}`,
    );
  }
  process.stdout.write(`${JSON.stringify({ conversations: size, rounds, rows })}\n`);
}

/** JSON built by the server, in the very shape of ours. The text form of COPY would double every backslash. */
function copyStatement(file) {
  const iso = (column) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const query = `select json_build_object('messages', t.messages, 'metadata', json_build_object(
    'conversation_id', c.conversation_id, 'title', c.title, 'tier', c.tier, 'quality_score', c.quality_score,
    'created_at', ${iso('c.created_at')}, 'updated_at', ${iso('c.updated_at')},
    'persona', c.persona, 'emotion', c.emotion, 'topic', c.topic))
    from conversations c cross join lateral (
      select json_agg(json_build_object('role', role, 'content', content) order by turn_number) as messages
      from conversation_turns where conversation_id = c.id) t
    where c.status = 'approved' and c.is_active is not false order by c.created_at, c.id`;
  return `\\copy (${query.replace(/\s+/g, ' ')}) to '${file}' with (format csv, quote e'\\x01', delimiter e'\\x02')`;
}

/** Runs a command to its end; seconds of wall clock and CPU, and peak memory in KiB, of that process alone. */
function run(env, command, args) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn('/usr/bin/time', ['-f', '%e %U %S %M', command, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (chunk) => (text += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`${command} ended with ${code}: ${text}`));
      const [, user, system, rss] = text.trim().split('\n').at(-1).split(' ').map(Number);
      const wall = Number(process.hrtime.bigint() - started) / 1e9;
      return resolve({ wall, cpu: user + system, rss });
    });
  });
}

async function haveEqualLines(a, b) {
  const lines = createInterface({ input: createReadStream(b), crlfDelay: 0 })[Symbol.asyncIterator]();
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(a), crlfDelay: 0 })) {
    const other = (await lines.next()).value;
    if (!isDeepStrictEqual(JSON.parse(line), JSON.parse(other))) throw new Error(`line ${count + 1} differs`);
    count++;
  }
  if (!(await lines.next()).done) throw new Error('the other output has more lines');
  return count;
}

async function isInstalled(command) {
  return promisify(execFile)(command, ['--version']).then(
    () => true,
    () => false,
  );
}

function summary(name, runs) {
  const of = (key) => median(runs.map((run) => run[key]));
  return { name, wall: of('wall'), cpu: of('cpu'), rss: Math.max(...runs.map(({ rss }) => rss)) };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
