import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { conversations, withMessages } from './designs/query.mjs';

const execute = promisify(execFile);
const CLI = fileURLToPath(new URL('../../bin/lora-export.js', import.meta.url));
const design = (name) => fileURLToPath(new URL(`designs/${name}`, import.meta.url));

/**
 * All that can run side by side, by name: `{ command, args, file, equals, most }`, or `{ skipped }` with the reason. The
 * output must equal that of `equals`; above `most` conversations a design is left out unless it was asked for.
 *
 * @param around `{ url, host, port, user, database, directory, say }`
 */
export async function allContestants({ url, host, port, user, database, directory, say }) {
  const file = (name) => join(directory, `${name.replace(/\W+/g, '-')}.out`);
  const ours = (name, flags, more = {}) => {
    const path = file(name);
    const args = [CLI, 'export', ...flags, '--scope', 'approved', '--force', '--output', path];
    return [name, { command: 'node', args, file: path, most: 100_000, ...more }];
  };
  const psql = (name, statement, equals) => {
    const path = file(name);
    const args = [url, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', `set time zone 'UTC'`];
    args.push('-c', `\\copy (${statement.replace(/\s+/g, ' ')}) to '${path}' with ${equals.copy}`);
    return [name, { command: 'psql', args, file: path, equals: equals.name, most: 1_000_000 }];
  };
  const other = (name, command, args, most = 100_000) => [
    name,
    { command, args, file: file(name), equals: 'jsonl', most },
  ];
  const skipped = (name, why) => [name, { skipped: why }];
  const modules = join(directory, 'modules');
  const hasPsql = await succeeds('psql', ['--version']);
  const withoutPsql = 'psql is not on the PATH';
  const plain = file('jsonl');
  return new Map([
    ours('jsonl', ['--jobs', '1'], { most: 1_000_000 }),
    ours('jsonl --jobs 2', ['--jobs', '2'], { equals: 'jsonl', most: 1_000_000 }),
    // The text form of COPY would double every backslash; control characters as quotes let JSON through untouched.
    hasPsql
      ? psql('psql json', jsonByServer, {
          name: 'jsonl',
          copy: String.raw`(format csv, quote e'\x01', delimiter e'\x02')`,
        })
      : skipped('psql json', withoutPsql),
    (await installed(modules, ['pg', 'pg-query-stream'], say))
      ? other('pg-query-stream', 'node', [
          design('pg-query-stream.mjs'),
          url,
          file('pg-query-stream'),
          modules,
        ])
      : skipped('pg-query-stream', 'npm could not install pg and pg-query-stream'),
    other('plain cursor', 'node', [design('plain-cursor.mjs'), url, file('plain cursor')]),
    (await succeeds('python3', ['-c', 'import psycopg2']))
      ? other('psycopg2', 'python3', [
          design('named_cursor.py'),
          host,
          String(port),
          user,
          database,
          file('psycopg2'),
          withMessages,
        ])
      : skipped('psycopg2', 'python3 has no psycopg2'),
    other('load everything', 'node', [design('load-everything.mjs'), url, file('load everything')], 10_000),
    ours('csv', ['--jobs', '1', '--format', 'csv', '--no-bom']),
    hasPsql
      ? psql('psql csv', flatJoin, { name: 'csv', copy: '(format csv, header)' })
      : skipped('psql csv', withoutPsql),
    ours('json', ['--jobs', '1', '--format', 'json']),
    ours('markdown', ['--jobs', '1', '--format', 'markdown']),
    ours('openai', ['--jobs', '1', '--target', 'openai']),
    ours('tokens', ['--jobs', '1', '--tokens'], { most: 10_000 }),
    ours('gzip', ['--jobs', '1', '--gzip']),
    [
      'gzip -6',
      {
        command: 'sh',
        args: ['-c', `gzip -6 -c '${plain}' > '${file('gzip -6')}'`],
        file: file('gzip -6'),
        most: 100_000,
      },
    ],
    ['--version', { command: 'node', args: [CLI, '--version'], most: 1_000 }],
    ['node -e 0', { command: 'node', args: ['-e', '0'], most: 1_000 }],
  ]);
}

const jsonByServer = `select json_build_object('messages', t.messages, 'metadata', json_build_object(
    'conversation_id', c.conversation_id, 'title', c.title, 'tier', c.tier, 'quality_score', c.quality_score,
    'created_at', c.created_at, 'updated_at', c.updated_at, 'persona', c.persona, 'emotion', c.emotion,
    'topic', c.topic))
  from (${conversations}) c cross join lateral (
    select json_agg(json_build_object('role', role, 'content', content) order by turn_number) as messages
    from conversation_turns where conversation_id = c.id) t
  order by c.created_at, c.id`;

const flatJoin = `select c.conversation_id, c.title, c.status, c.tier, t.turn_number, t.role, t.content,
    c.quality_score, c.persona, c.emotion, c.topic,
    to_char(c.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at
  from conversations c join conversation_turns t on t.conversation_id = c.id
  where c.status = 'approved' and c.is_active is not false
  order by c.created_at, c.id, t.turn_number`;

/** Packages that only the comparison needs are not among our dependencies. */
async function installed(directory, packages, say) {
  say(`installing ${packages.join(' and ')} for the comparison …`);
  return succeeds('npm', [
    'install',
    '--prefix',
    directory,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    ...packages,
  ]);
}

async function succeeds(command, args) {
  return execute(command, args, { timeout: 120_000 }).then(
    () => true,
    () => false,
  );
}
