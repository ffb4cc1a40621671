import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { addUser, applyAuthShim, applyMigrations } from './support/audit.js';
import { makeSandbox, type Sandbox } from './support/cli.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { addConversation } from './support/export.js';
import { startProxy, type Proxy } from './support/proxy.js';

const root = fileURLToPath(new URL('../', import.meta.url));

interface Example {
  readonly heading: string;
  readonly code: string;
  /** What it prints, according to the page. */
  readonly output: string;
}

const page = await readFile(join(root, 'docs/api.md'), 'utf8');
const examples: Example[] = page
  .split(/^## /m)
  .slice(1)
  .flatMap((section) =>
    [...section.matchAll(/^```ts\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```$/gm)].map(([, code, output]) => ({
      heading: section.slice(0, section.indexOf('\n')),
      code: code as string,
      output: output as string,
    })),
  );

let database: TestDatabase;
let box: Sandbox;
/** Readers of examples have a URL with a host, which the driver understands too. */
let server: Proxy;
let url: string;
let userId: string;

beforeAll(async () => {
  database = await createDatabase('ready');
  await applyAuthShim(database.sql);
  await applyMigrations(database.sql);
  await database.sql`grant all on all tables in schema public to authenticated`;
  userId = await addUser(database.sql);
  for (const id of ['first', 'second']) {
    await addConversation(
      database.sql,
      {
        conversation_id: id,
        tier: 'template',
        quality_score: 9,
        created_at: `2025-10-0${id.length - 4}T00:00:00Z`,
      },
      [
        ['user', 'What is a bond?'],
        ['assistant', 'A loan to an issuer.'],
      ],
    );
  }
  const { host, user } = database.sql.options;
  server = await startProxy({ path: `${host[0]}/.s.PGSQL.5432` });
  url = `postgres://${user}@127.0.0.1:${server.port}/${database.name}`;
  box = await makeSandbox();
  // As an application has it: the package and the driver beside its own files.
  await mkdir(box.path('node_modules/@types'), { recursive: true });
  await symlink(root, box.path('node_modules/lora-export'));
  for (const name of ['postgres', '@types/node'])
    await symlink(join(root, 'node_modules', name), box.path(`node_modules/${name}`));
  await writeFile(box.path('package.json'), '{"type":"module"}');
  await mkdir(box.path('training'));
});
afterAll(async () => {
  await server.close();
  await database.drop();
  await box.remove();
});

it('has an output below each example', () => {
  expect(examples.length).toBeGreaterThan(7);
  expect(page.match(/^```ts$/gm)).toHaveLength(examples.length);
});

it('has examples that compile in strict mode', async () => {
  await Promise.all(
    examples.map(async ({ code }, index) => writeFile(box.path(`example-${index}.mts`), code)),
  );
  const options = {
    compilerOptions: {
      target: 'ES2023',
      module: 'NodeNext',
      strict: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      noEmit: true,
      types: ['node'],
    },
    include: ['example-*.mts'],
  };
  await writeFile(box.path('tsconfig.json'), JSON.stringify(options));
  const { stdout } = await execa(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], {
    cwd: box.directory,
    reject: false,
  });
  expect(stdout).toBe('');
});

it.each(examples.map((example, index) => [index + 1, example] as const))(
  'runs example %i and prints what the page says',
  async (index, { code, output }) => {
    const file = box.path(`example-${index}.mjs`);
    await writeFile(file, code);
    const { exitCode, stdout, stderr } = await execa(process.execPath, [file], {
      cwd: box.directory,
      env: { ...box.env, DATABASE_URL: url, APP_USER_ID: userId },
      extendEnv: false,
      reject: false,
    });
    expect({ exitCode, stdout: `${stdout}\n`, errors: stderr.replace(/^\d of \d\n?/gm, '') }).toEqual({
      exitCode: 0,
      stdout: output,
      errors: '',
    });
  },
);
