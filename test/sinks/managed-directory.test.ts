import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  link,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { MANAGED_MARKER, partialName } from '../../src/sinks/file.js';
import { openManagedDirectory } from '../../src/sinks/managed-directory.js';
import { failureOf } from '../support/export.js';
import { filesIn } from '../support/sinks.js';
import { makeManagedRoot, STORED_NAME } from '../support/stored.js';

let parent: string;
let root: string;
const exportId = '0b5a0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4';

beforeEach(async () => {
  ({ parent, root } = await makeManagedRoot());
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function store(files: Record<string, string> = { [STORED_NAME]: 'data\n' }, id = exportId) {
  await mkdir(join(root, id));
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, id, name), text);
}

describe('a managed directory', () => {
  it('is the configured directory with our marker, and says where an export has its place', async () => {
    const directory = await openManagedDirectory(`${root}/../exports/`);
    expect(directory.root).toBe(root);
    expect(directory.directoryOf(exportId)).toBe(join(root, exportId));
  });

  it.each<[why: string, prepare: () => Promise<string>]>([
    ['is the root of the file system', () => Promise.resolve('/')],
    ['is the root of the file system', () => Promise.resolve('/tmp/..')],
    ['does not exist', () => Promise.resolve(join(parent, 'other'))],
    [
      'is a symbolic link',
      async () => {
        await symlink(root, join(parent, 'link'));
        return join(parent, 'link');
      },
    ],
    [
      'is not a directory',
      async () => {
        await writeFile(join(parent, 'file'), '');
        return join(parent, 'file');
      },
    ],
    ['no export was ever stored there', () => Promise.resolve(parent)],
    [
      'no export was ever stored there',
      async () => {
        await rm(join(root, MANAGED_MARKER));
        await symlink('/etc/passwd', join(root, MANAGED_MARKER));
        return root;
      },
    ],
    [
      'may be written to by every user',
      async () => {
        await chmod(root, 0o777);
        return root;
      },
    ],
  ])('is nothing that %s', async (why, prepare) => {
    const { message, exitStatus } = await failureOf(openManagedDirectory(await prepare()), 'E_USAGE');
    expect(message).toContain(why);
    expect(exitStatus).toBe(2);
  });

  it.runIf(process.getuid?.() === 0)('is nothing that belongs to somebody else', async () => {
    await chown(root, 12_345, 12_345);
    await failureOf(openManagedDirectory(root), 'E_USAGE');
  });

  it('that was replaced after it was opened is not used any more', async () => {
    await store();
    const directory = await openManagedDirectory(root);
    await rename(root, join(parent, 'moved'));
    await mkdir(join(root, exportId), { recursive: true });
    await writeFile(join(root, MANAGED_MARKER), '');
    await writeFile(join(root, exportId, STORED_NAME), 'somebody else');
    await failureOf(directory.remove(exportId), 'E_USAGE');
    await failureOf(directory.find(exportId), 'E_USAGE');
    expect(await readFile(join(root, exportId, STORED_NAME), 'utf8')).toBe('somebody else');
  });
});

describe('the file of an export', () => {
  it('is found by the id alone', async () => {
    await store({ [STORED_NAME]: 'data\n', [partialName(exportId)]: 'half' });
    const directory = await openManagedDirectory(root);
    expect(await directory.find(exportId)).toEqual({
      path: join(root, exportId, STORED_NAME),
      name: STORED_NAME,
      size: 5,
    });
    expect(await directory.find(randomUUID())).toBeNull();
  });

  it.each(['training-data-all-2025-10-29-42-2.csv', 'training-data-a_b-2025-01-01-0.md.gz'])(
    'may be called %s',
    async (name) => {
      await store({ [name]: '' });
      expect((await (await openManagedDirectory(root)).find(exportId))?.name).toBe(name);
    },
  );

  it('is removed with its directory and what a killed run left, and nothing beside it', async () => {
    const other = randomUUID();
    await store({
      [STORED_NAME]: 'data\n',
      [partialName(exportId)]: 'half',
      [`.${STORED_NAME}.lock`]: '',
    });
    await store(undefined, other);
    const directory = await openManagedDirectory(root);
    expect(await directory.remove(exportId)).toEqual({ bytes: 9, removed: true });
    expect(await filesIn(root)).toEqual([MANAGED_MARKER, other, join(other, STORED_NAME)]);
  });

  it('that is gone already is no error', async () => {
    const directory = await openManagedDirectory(root);
    expect(await directory.remove(exportId)).toEqual({ bytes: 0, removed: false });
    await store({});
    expect(await directory.remove(exportId)).toEqual({ bytes: 0, removed: false });
    expect(await filesIn(root)).toEqual([MANAGED_MARKER]);
  });

  it('is removed once by many at once', async () => {
    await store();
    const directories = await Promise.all(Array.from({ length: 8 }, () => openManagedDirectory(root)));
    const removals = await Promise.all(directories.map((directory) => directory.remove(exportId)));
    expect(removals.filter(({ removed }) => removed)).toEqual([{ bytes: 5, removed: true }]);
  });

  const strange: [what: string, prepare: (own: string) => Promise<unknown>][] = [
    ['a stranger beside it', (own) => writeFile(join(own, 'notes.txt'), 'mine')],
    ['a hidden stranger', (own) => writeFile(join(own, '.bashrc'), 'mine')],
    ['the partial file of another export', (own) => writeFile(join(own, partialName(randomUUID())), 'mine')],
    ['a directory of its name', (own) => mkdir(join(own, 'training-data-all-2025-10-29-7.jsonl'))],
    [
      'a link of its name',
      (own) => symlink(join(parent, 'victim'), join(own, 'training-data-all-2025-10-29-7.jsonl')),
    ],
    ['a link as partial file', (own) => symlink(join(parent, 'victim'), join(own, partialName(exportId)))],
  ];

  it.each(strange)('is left alone with %s', async (_what, prepare) => {
    await writeFile(join(parent, 'victim'), 'precious');
    await store();
    await prepare(join(root, exportId));
    const before = await filesIn(root);
    const directory = await openManagedDirectory(root);
    await failureOf(directory.remove(exportId), 'E_OUTPUT');
    await failureOf(directory.find(exportId), 'E_OUTPUT');
    expect(await filesIn(root)).toEqual(before);
    expect(await readFile(join(parent, 'victim'), 'utf8')).toBe('precious');
  });

  it('is not looked for behind a link in place of its directory', async () => {
    await mkdir(join(parent, 'elsewhere'));
    await writeFile(join(parent, 'elsewhere', STORED_NAME), 'precious');
    await symlink(join(parent, 'elsewhere'), join(root, exportId));
    const directory = await openManagedDirectory(root);
    await failureOf(directory.remove(exportId), 'E_OUTPUT');
    await failureOf(directory.find(exportId), 'E_OUTPUT');
    expect(await readFile(join(parent, 'elsewhere', STORED_NAME), 'utf8')).toBe('precious');
  });

  it('loses its own name only, when it has others', async () => {
    await store();
    await link(join(root, exportId, STORED_NAME), join(parent, 'kept'));
    await (await openManagedDirectory(root)).remove(exportId);
    expect(await readFile(join(parent, 'kept'), 'utf8')).toBe('data\n');
  });

  it.each([
    '..',
    '../..',
    '',
    '/',
    `${exportId}/..`,
    `../${exportId}`,
    `${exportId}\0`,
    `${exportId}\n`,
    exportId.toUpperCase(),
    MANAGED_MARKER,
  ])('is not looked for under the id %j', async (id) => {
    const directory = await openManagedDirectory(root);
    await failureOf(directory.find(id), 'E_USAGE');
    await failureOf(directory.remove(id), 'E_USAGE');
  });

  it.runIf(canMakeImmutable())('that the system does not let go is an error, and stays whole', async () => {
    await store();
    const path = join(root, exportId, STORED_NAME);
    execFileSync('chattr', ['+i', path]);
    try {
      const { message } = await failureOf((await openManagedDirectory(root)).remove(exportId), 'E_OUTPUT');
      expect(message).toContain('EPERM');
    } finally {
      execFileSync('chattr', ['-i', path]);
    }
    expect(await readFile(path, 'utf8')).toBe('data\n');
  });
});

it('lists what bears the name of an export, with its bytes and its latest change', async () => {
  const other = 'ffffffff-5d1a-4c0f-9a51-b8f0a2b7c9d4';
  await store();
  await store({ [STORED_NAME]: '12', [partialName(other)]: '345' }, other);
  await writeFile(join(root, 'notes.txt'), '');
  await mkdir(join(root, 'lost+found'));
  await symlink(parent, join(root, randomUUID()));
  const then = new Date('2025-01-02T03:04:05Z');
  await utimes(join(root, exportId, STORED_NAME), then, then);
  await utimes(join(root, exportId), then, then);
  const entries = await (await openManagedDirectory(root)).list();
  expect(entries).toEqual([
    { exportId, bytes: 5, changedMs: then.getTime() },
    { exportId: other, bytes: 5, changedMs: expect.any(Number) as number },
  ]);
});

function canMakeImmutable(): boolean {
  try {
    execFileSync('sh', ['-c', 'f=$(mktemp) && chattr +i "$f" && chattr -i "$f" && rm "$f"'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    process.stderr.write('SKIPPED: files that cannot be removed need chattr and the right to use it.\n');
    return false;
  }
}
