import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { runHere } from '../support/in-process.js';
import { listen } from '../support/proxy.js';
import type { BadInput } from './case.js';
import { CORPUS } from './corpus.js';
import { environment } from './environment.js';
import { files } from './files.js';
import { words } from './words.js';

let box: Sandbox;
let database: Server;
let url: string;
let connections = 0;

beforeAll(async () => {
  box = await makeSandbox();
  // Whoever gets as far as asking the database is noticed, and told nothing.
  database = createServer((socket) => {
    connections++;
    socket.on('error', () => undefined).destroy();
  });
  url = `postgres://u@127.0.0.1:${await listen(database)}/d`;
});

afterAll(async () => {
  database.close();
  await box.remove();
});

/** Everything below the home, state and working directory. */
async function everyFile(): Promise<string[]> {
  return (await readdir(dirname(box.directory), { recursive: true })).toSorted();
}

async function refuse({ args, env, content, input, says }: BadInput): Promise<void> {
  const path = join(box.directory, 'input');
  if (content !== undefined) await writeFile(path, content);
  const before = await everyFile();
  const asked = connections;
  const words = args.map((word) => word.replace('{file}', path));
  const { exitCode, stdout, stderr } = await runHere(box, words, { DATABASE_URL: url, ...env }, input ?? '');
  expect(stderr).toMatch(args.includes('--json') ? /^\{"code":2,"kind":"E_USAGE",/ : /^lora-export: /);
  for (const what of says) expect(stderr).toContain(what);
  expect(stderr).not.toMatch(/^\s+at |node:internal|unexpected error|This is a bug/m);
  expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(4);
  expect(stderr.length).toBeLessThan(2_000);
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(connections - asked).toBe(0);
  expect(await everyFile()).toEqual(before);
}

function title({ args, env, content, why }: BadInput): string {
  const said = [
    ...Object.entries(env ?? {}).map(([name, value]) => `${name}=${brief(value)}`),
    ...args.map((word) => (/^[\w./:=,{}-]+$/.test(word) && word.length < 60 ? word : brief(word))),
  ];
  return `${said.join(' ')}${content === undefined ? '' : ` ${brief(String(content))}`}: ${why.replaceAll('%', '%%')}`;
}

function brief(value: string): string {
  return JSON.stringify(value.slice(0, 50));
}

describe.each([
  ['a command line', words],
  ['the environment', environment],
  ['a file', files],
])('status 2 before any work, and a message that helps, for %s', (_where, cases) => {
  for (const bad of cases) test(title(bad), () => refuse(bad));
});

test('a very long word is not repeated whole', async () => {
  const { exitCode, stderr } = await runHere(box, ['export', `--limit=${'9'.repeat(100_000)}`]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('--limit');
  expect(stderr.length).toBeLessThan(400);
});

test('the corpus has not shrunk, and every case has a reason and a message of its own', () => {
  expect(CORPUS.length).toBeGreaterThanOrEqual(300);
  for (const { why, says } of CORPUS) {
    expect(why).not.toBe('');
    expect(says.length).toBeGreaterThan(0);
  }
  const keys = CORPUS.map(({ args, env, content, input }) =>
    JSON.stringify([args, env, content === undefined ? null : String(content), input]),
  );
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});
