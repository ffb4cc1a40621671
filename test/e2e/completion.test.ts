import { writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { SHELLS } from '../../src/cli/commands/completion.js';
import { formatNames } from '../../src/formats/index.js';
import { targetNames } from '../../src/targets/index.js';
import { makeSandbox, type Sandbox } from '../support/cli.js';

let box: Sandbox;

beforeAll(async () => {
  box = await makeSandbox();
  await Promise.all(
    SHELLS.map(async (shell) => writeFile(box.path(shell), (await box.lora(['completion', shell])).stdout)),
  );
  await writeFile(box.path('a b.jsonl'), '');
});
afterAll(() => box.remove());

/** What bash offers for the last of these words, sorted; it calls the function as it does on a tab. */
async function offered(...words: string[]): Promise<string[]> {
  const line = `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lora_export; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await execa('bash', ['--norc', '-c', line, 'bash', 'lora-export', ...words], {
    cwd: box.directory,
  });
  expect(stderr).toBe('');
  return stdout === '' ? [] : stdout.split('\n').toSorted();
}

/** What a help text lists at the beginning of its lines. */
async function listed(pattern: RegExp, ...words: string[]): Promise<string[]> {
  const { exitCode, stdout, stderr } = await box.lora(words);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const lines = stdout.slice(0, stdout.includes('Examples:') ? stdout.indexOf('Examples:') : undefined);
  return [...lines.matchAll(pattern)]
    .flatMap(([, ...names]) => names.filter((name) => name !== undefined))
    .toSorted();
}

const commandsOf = () =>
  listed(/^ {2}([a-z-]+) /gm, '--help').then((all) => all.filter((name) => name !== ''));
const flagsOf = (command: string) => listed(/^ {2}(?:(-\w), )?(--[a-z-]+)/gm, 'help', command);

async function has(shell: string): Promise<boolean> {
  return (await execa(shell, ['--version'], { reject: false })).exitCode === 0;
}

describe('the script for bash', () => {
  it('is valid', async () => {
    await execa('bash', ['-n', box.path('bash')]);
  });

  it('registers itself for the program', async () => {
    const { stdout } = await execa('bash', ['--norc', '-c', 'source ./bash; complete -p lora-export'], {
      cwd: box.directory,
    });
    expect(stdout).toBe('complete -F _lora_export lora-export');
  });

  it('offers the formats after --format, and those that begin as what is typed', async () => {
    expect(await offered('export', '--format', '')).toEqual([...formatNames, 'md'].toSorted());
    expect(await offered('export', '-f', 'm')).toEqual(['markdown', 'md']);
    expect(await offered('export', '--format', '=', 'c')).toEqual(['csv']);
    expect(await offered('export', '--format', '=')).toEqual([...formatNames, 'md'].toSorted());
  });

  it('offers the targets of each command that has them', async () => {
    for (const command of ['export', 'validate']) {
      expect(await offered(command, '--gzip', '--target', '')).toEqual(targetNames.toSorted());
    }
  });

  it('offers every command, and each of them after help', async () => {
    const commands = await commandsOf();
    expect(commands).toContain('export');
    expect(await offered('')).toEqual(commands);
    expect(await offered('help', '')).toEqual(commands);
    expect(await offered('comp')).toEqual(['completion']);
    expect(await offered('-')).toEqual(['--help', '--version', '-V', '-h']);
  });

  it('offers every flag of every command, and no other', async () => {
    for (const command of await commandsOf()) {
      if (command === 'help') continue;
      const flags = await flagsOf(command);
      expect(flags).toContain('--help');
      expect({ command, flags: await offered(command, '-') }).toEqual({ command, flags });
    }
  });

  it('offers the choices of an argument', async () => {
    expect(await offered('completion', '')).toEqual(['bash', 'fish', 'zsh']);
    expect(await offered('completion', 'z')).toEqual(['zsh']);
  });

  it('offers files where one is expected, also those with a space', async () => {
    expect(await offered('export', '--output', 'a')).toEqual(['a b.jsonl']);
    expect(await offered('import', '')).toEqual(['a b.jsonl', 'bash', 'fish', 'zsh']);
    expect(await offered('import', '--j')).toEqual(['--json']);
  });

  it('offers nothing where only the user knows', async () => {
    expect(await offered('export', '--ids', '')).toEqual([]);
    expect(await offered('export', '--database-url', 'p')).toEqual([]);
  });

  it('takes the name of a command for a value where it is one', async () => {
    expect(await offered('export', '--output', 'init', '--scope', 'f')).toEqual(['filtered']);
  });
});

describe('the script for zsh', () => {
  it('is valid', async (context) => {
    if (!(await has('zsh'))) return context.skip('zsh is not installed');
    await execa('zsh', ['-n', box.path('zsh')]);
  });
});

describe('the script for fish', () => {
  it('offers the formats after --format', async (context) => {
    if (!(await has('fish'))) return context.skip('fish is not installed');
    const { stdout } = await execa(
      'fish',
      ['--no-config', '-c', 'source ./fish; complete -C"lora-export export --format "'],
      { cwd: box.directory, env: { HOME: box.directory } },
    );
    const words = stdout.split('\n').map((line) => line.replace(/\t.*/, ''));
    expect(words.toSorted()).toEqual([...formatNames, 'md'].toSorted());
  });
});

it.each(['zsh', 'fish'])('the script for %s names every command and its flags', async (shell) => {
  const { stdout } = await box.lora(['completion', shell]);
  for (const command of await commandsOf()) {
    expect(stdout).toContain(`/${command}`);
    if (command === 'help') continue;
    for (const flag of await flagsOf(command)) {
      const [, short, long] = /^(?:-(\w)|--(.+))$/.exec(flag) ?? [];
      const spelled = shell === 'zsh' ? `'${flag}:` : short === undefined ? `-l '${long}'` : `-s '${short}'`;
      expect(stdout).toContain(spelled);
    }
  }
});

it('refuses another shell, and none, with what there is', async () => {
  for (const args of [['completion', 'tcsh'], ['completion']]) {
    const { exitCode, stdout, stderr } = await box.lora(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/bash, zsh, fish|missing required argument 'shell'/);
  }
});
