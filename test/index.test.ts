import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

import * as library from '../src/index.js';

const read = (path: string): Promise<string> => readFile(new URL(`../src/${path}`, import.meta.url), 'utf8');

/** Names that the library exports, types included, with the file each comes from. */
async function exported(): Promise<{ name: string; file: string }[]> {
  const statements = (await read('index.ts')).matchAll(
    /^export (?:type )?\{([^}]+)\} from '\.\/(.+)\.js';/gm,
  );
  return [...statements].flatMap(([, names, file]) =>
    (names as string)
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map((name) => ({ name, file: `${file as string}.ts` })),
  );
}

it('documents every function and class that it exports', async () => {
  const undocumented: string[] = [];
  for (const { name, file } of await exported()) {
    if (typeof (library as Record<string, unknown>)[name] !== 'function') continue;
    const text = await read(file);
    const declaration = new RegExp(`^export (?:async )?(?:function\\*? |class |const )${name}\\b`, 'm').exec(
      text,
    );
    expect(declaration, `${name} in ${file}`).not.toBeNull();
    if (!text.slice(0, declaration?.index).endsWith('*/\n')) undocumented.push(`${name} (${file})`);
  }
  expect(undocumented).toEqual([]);
});

it('gives an example with every method of the service', async () => {
  const text = await read('service.ts');
  const methods = [...text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n {2}(\w+)\(/g)];
  const service = library.createExportService(undefined as never);
  expect(methods.map(([, , name = '']) => name).toSorted()).toEqual(Object.keys(service).toSorted());
  for (const [, comment, name] of methods) expect(comment, name).toContain('@example');
});
