import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { definitionOf, settingKeys } from '../src/cli/setting-definitions.js';
import { targetNames } from '../src/targets/index.js';
import { cliDocument, formatsDocument } from './support/write-docs.mjs';

const root = new URL('../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');
const help = async (...words: string[]): Promise<string> =>
  (await execa('node', ['bin/lora-export.js', ...words], { cwd: root, env: { COLUMNS: '100' } })).stdout;

describe('docs/cli.md', () => {
  it('shows the help of the program and of every command, word for word', async () => {
    expect(await read('docs/cli.md')).toBe(await cliDocument());
  });
});

describe('docs/formats.md', () => {
  it('shows what each format and target writes, and what is done about each rule', async () => {
    expect(await read('docs/formats.md')).toBe(await formatsDocument());
  });
});

describe('README.md', () => {
  it('lists every exit code that errors.ts knows, and no other', async () => {
    const source = await read('src/errors.ts');
    const known = [...source.matchAll(/^ {2}E_\w+: (\d+),/gm)].map(([, code]) => Number(code));
    const listed = [...(await read('README.md')).matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    expect(listed).toEqual([...new Set([0, ...known])].toSorted((a, b) => a - b));
  });

  it('names only flags that the commands have', async () => {
    const readme = await read('README.md');
    const helps = await Promise.all(
      ['export', 'init', 'import', 'validate'].map((name) => help('help', name)),
    );
    const existing = new Set(helps.join('\n').match(/--[a-z-]+/g));
    const shown = [...readme.matchAll(/lora-export (?:export|init|import|validate)\b[^\n#`]*/g)].flatMap(
      ([line]) => line.match(/--[a-z-]+/g) ?? [],
    );
    expect(shown.length).toBeGreaterThan(10);
    expect(shown.filter((flag) => !existing.has(flag))).toEqual([]);
  });

  it('lists every setting with its variables and what it means', async () => {
    const rows = settingKeys.map((key) => {
      const { means, variables = [] } = definitionOf(key);
      return ['', `\`${key}\``, variables.map((name) => `\`${name}\``).join(', '), means, ''];
    });
    const listed = [...(await read('README.md')).matchAll(/^\| `[\w.]+` \|.*\|.*\|$/gm)].map(([line]) =>
      line.split('|').map((cell) => cell.trim()),
    );
    expect(listed.filter(([, key]) => settingKeys.some((known) => key === `\`${known}\``))).toEqual(rows);
  });

  it('names every target', async () => {
    const readme = await read('README.md');
    for (const name of targetNames) expect(readme).toContain(`\`${name}\``);
  });

  it('has the two commands that work in a fresh clone', async () => {
    const readme = await read('README.md');
    const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => (block as string).trim());
    expect(blocks[0]).toBe(
      'npm install && npx lora-export init --demo && npx lora-export export --format jsonl --scope approved',
    );
    expect(blocks.at(-1)).toBe('npm install && npm test');
  });
});

describe('.env.example', () => {
  it('names the environment variables that the program reads, and no other', async () => {
    const named = new Set((await read('.env.example')).match(/\b(?:LORA_EXPORT_\w+|DATABASE_URL)\b(?==)/g));
    const sources = await Promise.all(
      [
        'src/cli/setting-definitions.ts',
        'src/cli/settings.ts',
        'src/embedded/default-state-directory.ts',
      ].map(read),
    );
    const used = new Set(sources.join('\n').match(/(?<=')(?:LORA_EXPORT_\w+|DATABASE_URL)(?=')/g));
    used.delete('LORA_EXPORT_TEST_PHASES');
    expect([...named].toSorted()).toEqual([...used].toSorted());
  });
});
