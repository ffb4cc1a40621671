import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type postgres from 'postgres';
import { importConversations, type ImportInput } from './import.js';

// The way is the same from src and from dist.
const FIXTURES = new URL('../fixtures/', import.meta.url);

/**
 * The demo conversations: four files of ordinary ones, and one of oddities, each of which shows a thing that real
 * databases hold and training files must not.
 */
export async function demoInputs(): Promise<ImportInput[]> {
  const ordinary = (await namesIn('demo/')).map((name) => ({
    name,
    open: () => createReadStream(new URL(`demo/${name}`, FIXTURES)),
  }));
  const lines: string[] = [];
  for (const name of await namesIn('oddities/')) {
    // One object a file, laid out for people; the import reads one a line.
    const text = await readFile(new URL(`oddities/${name}`, FIXTURES), 'utf8');
    lines.push(`${JSON.stringify(JSON.parse(text))}\n`);
  }
  return [...ordinary, { name: 'oddities', open: () => Readable.from([Buffer.from(lines.join(''))]) }];
}

async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(new URL(directory, FIXTURES))).sort();
}

/**
 * Loads the demo conversations; those that are there already stay as they are.
 * @returns how many conversations the demo has
 */
export async function loadDemo(sql: postgres.Sql, schema: string, signal: AbortSignal): Promise<number> {
  let loaded = 0;
  for (const input of await demoInputs()) {
    const { inserted, updated, unchanged } = await importConversations(sql, input, { schema }, { signal });
    loaded += inserted + updated + unchanged;
  }
  return loaded;
}
