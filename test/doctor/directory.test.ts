import { chmod, chown, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { checkDirectory } from '../../src/doctor/directory.js';
import { judgeSpace } from '../../src/doctor/disk.js';
import { MANAGED_MARKER } from '../../src/sinks/file.js';
import { contextOf, makeDirectory } from '../support/doctor.js';

let directory: string;

beforeEach(async () => {
  directory = await makeDirectory();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const check = (path: string) => checkDirectory(contextOf('postgresql://u@localhost/x', { directory: path }));

async function makeManaged(): Promise<string> {
  const root = join(directory, 'exports');
  await mkdir(root, { mode: 0o700 });
  await writeFile(join(root, MANAGED_MARKER), '');
  return root;
}

describe('the export directory', () => {
  it('is well when it is managed and private, and is left as it was', async () => {
    const root = await makeManaged();
    const finding = await check(root);
    expect(finding).toMatchObject({ status: 'ok', message: `${root} is writable and private` });
    expect(await readdir(root)).toEqual([MANAGED_MARKER]);
  });

  it('need not exist, and is not made', async () => {
    const finding = await check(join(directory, 'a', 'b'));
    expect(finding.status).toBe('ok');
    expect(finding.message).toContain('does not exist yet');
    expect(await readdir(directory)).toEqual([]);
  });

  it('may be an empty one without a marker', async () => {
    expect((await check(directory)).status).toBe('ok');
    expect(await readdir(directory)).toEqual([]);
  });

  it('is doubtful when it holds the files of somebody else', async () => {
    await writeFile(join(directory, 'thesis.txt'), 'mine');
    const finding = await check(directory);
    expect(finding.status).toBe('warning');
    expect(finding.message).toContain('not a directory of lora-export');
  });

  it('is doubtful when other users can see it, and chmod as offered closes it', async () => {
    const root = await makeManaged();
    await chmod(root, 0o755);
    const finding = await check(root);
    expect(finding.status).toBe('warning');
    expect(finding.message).toContain('mode 0755');
    expect(finding.fix).toContain(`chmod 700 '${root}'`);
  });

  it('fails when every user of the machine may write to it', async () => {
    const root = await makeManaged();
    await chmod(root, 0o777);
    expect(await check(root)).toMatchObject({ status: 'failed', code: 'E_USAGE' });
  });

  it('fails when it is a file, or lies below one', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    for (const path of [file, join(file, 'exports')]) {
      expect(await check(path)).toMatchObject({ status: 'failed', code: 'E_OUTPUT' });
    }
    expect(await readdir(directory)).toEqual(['file']);
  });

  it('fails when it is a link to a managed one', async () => {
    const root = await makeManaged();
    const link = join(directory, 'link');
    await symlink(root, link);
    expect((await check(link)).status).toBe('failed');
  });

  it.runIf(process.getuid?.() !== 0)('fails when it may not be written to', async () => {
    const root = await makeManaged();
    await chmod(root, 0o500);
    expect(await check(root)).toMatchObject({ status: 'failed', code: 'E_OUTPUT' });
    await chmod(root, 0o700);
  });

  it.runIf(process.getuid?.() === 0)('fails when it belongs to another user', async () => {
    const root = await makeManaged();
    await chown(root, 12_345, 12_345);
    expect((await stat(root)).uid).toBe(12_345);
    expect(await check(root)).toMatchObject({ status: 'failed' });
  });
});

describe('the disk', () => {
  const GIB = 1024 ** 3;

  it.each([
    ['plenty', { bytes: 50 * GIB, files: 1_000_000 }, null, 'ok'],
    ['a file system that counts no files', { bytes: 50 * GIB, files: null }, GIB, 'ok'],
    ['less than a GiB', { bytes: GIB / 2, files: 1_000_000 }, null, 'warning'],
    ['less than three times the latest export', { bytes: 5 * GIB, files: 1_000_000 }, 2 * GIB, 'warning'],
    ['few files left', { bytes: 50 * GIB, files: 7 }, null, 'warning'],
    ['nothing', { bytes: 4096, files: 1_000_000 }, null, 'failed'],
  ] as const)('with %s is judged by it', (_name, space, lastSize, status) => {
    const finding = judgeSpace(space, lastSize);
    expect(finding.status).toBe(status);
    if (status !== 'ok') expect(finding.fix).toContain('lora-export cleanup');
  });
});
