import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

interface Import {
  /** Relative to the project, such as `src/db/connect.ts`. */
  readonly from: string;
  /** A file in the same form, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const sources = ['src', 'bin'].flatMap((directory) =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[jt]s$/.test(name))
    .map((name) => join(directory, name).replaceAll(sep, '/')),
);

const texts = new Map(sources.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));

const imports = sources.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const code = withoutComments(texts.get(file) ?? '');
  const found: Import[] = [];
  const statement =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:([\w*\s{},]+?)\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;
  for (const [, type, names = '', target, dynamic] of code.matchAll(statement)) {
    const specifier = target ?? dynamic ?? '';
    const members = /^\{([^}]*)\}$/
      .exec(names.trim())?.[1]
      ?.split(',')
      .map((name) => name.trim());
    const onlyTypes = members?.every((name) => name === '' || name.startsWith('type ')) ?? false;
    found.push({ from: file, to: resolved(file, specifier), typeOnly: type !== undefined || onlyTypes });
  }
  return found;
}

function resolved(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const path = relative(ROOT, join(ROOT, dirname(file), specifier)).replaceAll(sep, '/');
  return path.replace(/^dist\//, 'src/').replace(/\.js$/, '.ts');
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '$1');
}

/** The layers by their height; a module imports from its own layer only inside its own directory, else from below. */
const LAYERS = ['bin', 'cli', 'core', 'adapter', 'base', 'bytes'] as const;
type Layer = (typeof LAYERS)[number];

const BASE = [
  'conversation',
  'errors',
  'visible',
  'listed',
  'request',
  'scopes',
  'judging/rules',
  'version',
].map((name) => `src/${name}.ts`);

function layerOf(file: string): Layer {
  if (file.startsWith('bin/')) return 'bin';
  if (file.startsWith('src/cli/')) return 'cli';
  if (/^src\/(db|formats|sinks|embedded)\//.test(file)) return 'adapter';
  if (file.startsWith('src/bytes/')) return 'bytes';
  return BASE.includes(file) ? 'base' : 'core';
}

/** `src/db` of `src/db/connect.ts`. */
function moduleOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

/** The request is checked against the names in the registries: nothing else may list them. */
function isRegistry({ from, to }: Import): boolean {
  return from === 'src/request.ts' && /^src\/(formats|targets)\/index\.ts$/.test(to);
}

const isOurs = ({ to }: Import): boolean => /^(src|bin|test)\//.test(to);
const shown = ({ from, to }: Import): string => `${from} → ${to}`;

it('finds the imports of every kind', () => {
  expect(imports).toContainEqual({ from: 'src/sinks/index.ts', to: 'src/request.ts', typeOnly: true });
  expect(imports).toContainEqual({ from: 'src/request.ts', to: 'src/formats/index.ts', typeOnly: false });
  expect(imports).toContainEqual({ from: 'src/sinks/file.ts', to: 'node:fs/promises', typeOnly: false });
  expect(imports.some(({ from, to }) => from.startsWith('bin/') && to.startsWith('src/cli/'))).toBe(true);
  expect(
    imports
      .filter(isOurs)
      .filter(({ to }) => !texts.has(to))
      .map(shown),
  ).toEqual([]);
});

it('imports downwards only: bin → cli → core → db, formats, sinks, embedded → base → bytes', () => {
  const upwards = imports
    .filter(isOurs)
    .filter(({ from, to, typeOnly }) => !typeOnly && moduleOf(from) !== moduleOf(to))
    .filter(({ from, to }) => LAYERS.indexOf(layerOf(from)) > LAYERS.indexOf(layerOf(to)))
    .filter((found) => !isRegistry(found));
  expect(upwards.map(shown)).toEqual([]);
});

it('keeps the adapters from knowing each other', () => {
  const between = imports
    .filter(isOurs)
    .filter(({ from, to, typeOnly }) => !typeOnly && moduleOf(from) !== moduleOf(to))
    .filter(({ from, to }) => layerOf(from) === 'adapter' && layerOf(to) === 'adapter');
  expect(between.map(shown)).toEqual([]);
});

it('has no circle of imports', () => {
  const values = imports.filter((found) => isOurs(found) && !found.typeOnly);
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file)) return;
    for (const { from, to } of values) if (from === file) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(circles).toEqual([]);
});

it('leaves the terminal and the schedule to the command line', () => {
  const terminal = ['commander', '@inquirer/prompts', 'ora', 'cli-table3', 'chalk', 'node-cron'];
  const elsewhere = imports
    .filter(({ from }) => !from.startsWith('src/cli/'))
    .filter(
      ({ to }) =>
        terminal.some((name) => to === name || to.startsWith(`${name}/`)) || to.startsWith('@inquirer/'),
    );
  expect(elsewhere.map(shown)).toEqual([]);
});

it('is handed streams, settings and time outside of the command line, and takes nothing from the process', () => {
  const taken = [...texts]
    .filter(([file]) => file.startsWith('src/') && !file.startsWith('src/cli/'))
    .flatMap(([file, text]) =>
      [
        ...withoutComments(text).matchAll(
          /\bconsole\.\w+|\bprocess\.(exit\b|exitCode|env|stdin|stdout|stderr|argv)\b|from 'node:process'/g,
        ),
      ].map(([match]) => `${file}: ${match}`),
    );
  expect(taken).toEqual([]);
});

it('never imports a test', () => {
  expect(imports.filter(({ to }) => to.startsWith('test/')).map(shown)).toEqual([]);
});

it('imports no package that is not a dependency', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const unknown = imports
    .filter((found) => !isOurs(found) && !found.to.startsWith('node:') && !found.to.startsWith('.'))
    .filter(({ to }) => !Object.keys(dependencies).some((name) => to === name || to.startsWith(`${name}/`)));
  expect(unknown.map(shown)).toEqual([]);
});
