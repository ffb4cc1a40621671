import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';

import { createProgram } from '../src/cli/program.js';
import { Terminal } from '../src/cli/terminal.js';
import { hostHere } from './support/in-process.js';
import { CHECKS } from '../src/doctor.js';

const ROOT = join(import.meta.dirname, '..');
/** Stands for what varies. */
const GAP = '…';

let document: string;
let messages: string[];

beforeAll(async () => {
  document = await readFile(join(ROOT, 'docs/troubleshooting.md'), 'utf8');
  const files = await readdir(join(ROOT, 'src'), { recursive: true });
  const sources = await Promise.all(
    files.filter((name) => name.endsWith('.ts')).map((name) => readFile(join(ROOT, 'src', name), 'utf8')),
  );
  messages = sources.flatMap(literalsOf);
});

/** The texts in quotes of a source file, each expression of a template as one gap. */
function literalsOf(source: string): string[] {
  return [...source.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/g)]
    .map(([, single, double]) => single ?? double ?? '')
    .concat(templatesOf(source));
}

function templatesOf(source: string): string[] {
  const flat = withoutInnermost(source);
  return [...flat.matchAll(/`([^`]*)`/g)].map(([, text]) => text as string);
}

/** Expressions hold templates with expressions; from the inside out each becomes a gap. */
function withoutInnermost(source: string): string {
  const replaced = source.replace(/\$\{[^{}]*\}/g, GAP);
  return replaced === source ? source : withoutInnermost(replaced);
}

/**
 * The fixed parts of the symptom stand in one text of the program, in their order. A text may itself be the filling of
 * another one's gap, so what joins the two is not compared.
 */
function isSaid(symptom: string): boolean {
  const parts = symptom
    .split(GAP)
    .map((part) => part.replace(/^[\s.:]+|[\s.:]+$/g, ''))
    .filter((part) => part !== '')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return messages.some((message) => new RegExp(parts.join('.*'), 's').test(message));
}

it('finds messages with and without gaps, and notices when one is gone', () => {
  expect(isSaid('Nothing listens at ….')).toBe(true);
  expect(isSaid('The password was refused: ….')).toBe(true);
  expect(isSaid('Nobody listens at ….')).toBe(false);
});

it('has as symptoms only what the program says', () => {
  const symptoms = [...document.matchAll(/^### `(.+)`$/gm)].map(([, symptom]) => symptom as string);
  expect(symptoms.length).toBeGreaterThan(30);
  expect(new Set(symptoms).size).toBe(symptoms.length);
  expect(symptoms.filter((symptom) => !isSaid(symptom))).toEqual([]);
});

it('gives every symptom a cause and a fix', () => {
  const [, ...sections] = document.split(/^### /m);
  for (const section of sections) {
    expect(section).toContain('\n- **Cause.** ');
    expect(section).toContain('\n- **Fix.** ');
  }
});

it('lists every check of the doctor, in its order', () => {
  const rows = [...document.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  expect(rows).toEqual(CHECKS);
});

it('names only commands and flags that exist', async () => {
  const host = hostHere();
  const program = await createProgram(host, new Terminal(host), []);
  const commands = program.commands.map((command) => command.name());
  const flags = program.commands.flatMap(({ options }) => options.map(({ long }) => long));
  const shown = [...document.matchAll(/`lora-export ([a-z]+)/g)].map(([, name]) => name as string);
  expect(shown.length).toBeGreaterThan(5);
  expect(shown.filter((name) => !commands.includes(name))).toEqual([]);
  const named = [...document.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((flag) => !flags.includes(flag))).toEqual([]);
});
