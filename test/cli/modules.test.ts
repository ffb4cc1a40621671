import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { createProgram } from '../../src/cli/program.js';
import { Terminal } from '../../src/cli/terminal.js';
import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { addConversation } from '../support/export.js';
import { hostHere } from '../support/in-process.js';

const NOTE_MODULES = join(import.meta.dirname, '../support/note-modules.mjs');

interface Loaded {
  /** Names of packages, sorted. */
  readonly packages: readonly string[];
  /** Files of `dist`, such as `formats/jsonl.js`, sorted. */
  readonly own: readonly string[];
}

async function loadedBy(sandbox: Sandbox, args: readonly string[], status = 0): Promise<Loaded> {
  const file = sandbox.path('modules.txt');
  const env = { NODE_OPTIONS: `--import=${NOTE_MODULES}`, MODULES_FILE: file };
  const { exitCode, stderr } = await sandbox.lora(args, { env });
  expect(exitCode, stderr).toBe(status);
  const urls = (await readFile(file, 'utf8')).split('\n');
  const names = (pattern: RegExp): string[] =>
    [...new Set(urls.flatMap((url) => pattern.exec(url)?.[1] ?? []))].toSorted();
  return {
    packages: names(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//),
    own: names(/^file:(?!.*node_modules).*\/dist\/(.*)$/),
  };
}

describe('what is loaded', () => {
  it.each<[string, string, number]>([
    ['--version', '', 0],
    ['--help', 'commander', 0],
    ['export --help', 'commander', 0],
    ['help history', 'commander', 0],
    ['validate --help', 'commander', 0],
    ['completion bash', 'commander', 0],
    ['export --bad-flag', 'commander', 2],
    ['export --format xml', 'commander', 2],
    ['exprt', 'commander', 2],
    ['validate fine.jsonl', 'commander', 0],
    ['config', 'commander zod', 0],
  ])('by `%s` of packages is: %s', async (words, packages, status) => {
    const sandbox = await makeSandbox();
    try {
      await sandbox.shell(
        'echo \'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\' > fine.jsonl',
        [],
      );
      const loaded = await loadedBy(sandbox, words.split(' '), status);
      expect(loaded.packages.join(' ')).toBe(packages);
    } finally {
      await sandbox.remove();
    }
  });

  it('by a help text is one command, and of formats and targets the names', async () => {
    const sandbox = await makeSandbox();
    try {
      const { own } = await loadedBy(sandbox, ['export', '--help']);
      expect(own.filter((file) => /^(cli\/commands|formats|targets|db|judging)\//.test(file))).toEqual([
        'cli/commands/export.js',
        'cli/commands/index.js',
        'formats/index.js',
        'targets/index.js',
      ]);
    } finally {
      await sandbox.remove();
    }
  });

  it('by an export is its own format or target, and a validator only where there is something to validate', async () => {
    await using database = await createDatabase();
    const sandbox = await makeSandbox(database);
    try {
      await addConversation(database.sql, { conversation_id: 'one' });
      const plain = await loadedBy(sandbox, ['export', '--output', 'plain.jsonl']);
      expect(plain.packages).toEqual(['commander', 'postgres', 'zod']);
      const chosen = /^(formats|targets|validate)[./]|^sinks\/gzip|^preview|^plan\./;
      expect(plain.own.filter((file) => chosen.test(file))).toEqual([
        'formats/index.js',
        'formats/json-value.js',
        'formats/jsonl.js',
        'targets/index.js',
      ]);
      const targeted = await loadedBy(
        sandbox,
        ['export', '--target', 'together', '--output', 'out.jsonl'],
        0,
      );
      expect(targeted.packages).toEqual(['commander', 'postgres', 'zod']);
      expect(targeted.own).toEqual(expect.arrayContaining(['targets/together.js', 'validate.js']));
      expect(targeted.own.filter((file) => /gemini|alpaca|trl/.test(file))).toEqual([]);
    } finally {
      await sandbox.remove();
    }
  });
});

describe('the list of commands', () => {
  it('describes each command in its own words', async () => {
    const host = hostHere();
    const program = await createProgram(host, new Terminal(host), []);
    expect(commands.map(({ name, description }) => [name, description])).toEqual(
      program.commands.map((command) => [command.name(), command.description()]),
    );
  });
});
