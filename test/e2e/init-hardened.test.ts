import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeSandbox, type Sandbox } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { seed } from '../support/seed.js';

let database: TestDatabase;
let box: Sandbox;

beforeEach(async () => {
  database = await createDatabase('empty');
  box = await makeSandbox(database);
});

afterEach(async () => {
  await database.drop();
  await box.remove();
});

const hardenedLine = async (): Promise<string | undefined> => {
  const { exitCode, stdout } = await box.lora(['init', '--verify']);
  expect(exitCode).toBe(0);
  return stdout.split('\n').find((line) => / hardened /.test(line));
};

test('init --hardened protects the log, says so, and init leaves it that way', async () => {
  expect((await box.lora(['init', '--with-source'])).stderr).toContain('has the audit tables');
  expect(await hardenedLine()).toMatch(/^pass +trigger +hardened .*not applied \(optional\)/);
  const { exitCode, stdout, stderr } = await box.lora(['init', '--hardened']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  expect(stderr).toContain('has the hardened audit tables');
  const again = await box.lora(['init', '--json']);
  expect(JSON.parse(again.stdout)).toMatchObject({ hardened: true });
  expect(await hardenedLine()).toMatch(/^pass +trigger +hardened .* applied *$/);

  await seed(database.sql, 2);
  expect((await box.lora(['export'])).exitCode).toBe(0);
  await expect(database.sql`delete from export_logs`).rejects.toThrow(/cannot be deleted/);
  await database.sql`alter table export_runs disable trigger export_runs_hardened_delete`;
  const weakened = await box.lora(['init', '--verify']);
  expect(weakened.exitCode).toBe(22);
  expect(weakened.stdout).toMatch(/^FAIL +trigger +hardened .*export_runs_hardened_delete disabled/m);
  expect((await box.lora(['init', '--down', '--force'])).exitCode).toBe(0);
});

test('init --dry-run --hardened prints it too, as SQL that the server takes twice', async () => {
  const printed = await box.lora(['init', '--dry-run', '--hardened'], { database: undefined });
  expect(printed).toMatchObject({ exitCode: 0, stderr: '' });
  const plain = await box.lora(['init', '--dry-run'], { database: undefined });
  expect(plain.stdout).not.toContain('hardened');
  expect(printed.stdout.startsWith(plain.stdout)).toBe(true);
  for (let time = 0; time < 2; time++) await database.sql.begin((tx) => tx.unsafe(printed.stdout).simple());
  expect(await hardenedLine()).toMatch(/ applied *$/);
});

test.each(['--verify', '--down'])('init --hardened %s is refused before anything is done', async (mode) => {
  const { exitCode, stderr } = await box.lora(['init', '--hardened', mode, '--force'], {
    database: undefined,
  });
  expect(exitCode).toBe(2);
  expect(stderr).toContain('--hardened is for applying');
});
