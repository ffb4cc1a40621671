import { execFileSync } from 'node:child_process';
import { linkSync } from 'node:fs';
import {
  link,
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

import {
  MANAGED_MARKER,
  numberedName,
  partialName,
  prepareFile,
  prepareInDirectory,
  prepareManaged,
} from '../../src/sinks/file.js';
import { aContext, filesIn, modeOf, sha256, writeReusing } from '../support/sinks.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const BYTES = Buffer.from('{"messages":[]}\n');

describe('a file that the user named', () => {
  it('is invisible until it is published, and private all along', async () => {
    const directory = await temporaryDirectory();
    const context = aContext();
    const sink = await (await prepareFile(join(directory, 'out.jsonl'), context)).open();
    const partial = partialName(context.exportId);
    expect(await filesIn(directory)).toEqual([partial]);
    expect(await modeOf(directory, partial)).toBe('600');
    await sink.write(BYTES);
    expect(await sink.seal()).toEqual({ size: BYTES.length, sha256: sha256(BYTES) });
    expect(await filesIn(directory)).toEqual([partial]);
    expect(await sink.publish('ignored.jsonl')).toEqual({
      location: join(directory, 'out.jsonl'),
      url: pathToFileURL(join(directory, 'out.jsonl')).href,
    });
    expect(await filesIn(directory)).toEqual(['out.jsonl']);
    expect(await modeOf(directory, 'out.jsonl')).toBe('600');
    expect((await stat(join(directory, 'out.jsonl'))).nlink).toBe(1);
    expect(await readFile(join(directory, 'out.jsonl'))).toEqual(BYTES);
  });

  it('is described for recovery before anything is touched', async () => {
    const directory = await temporaryDirectory();
    const context = aContext();
    const { record, restartable } = await prepareFile(join(directory, 'out.jsonl'), context);
    expect(record).toEqual({
      kind: 'file',
      partial: partialName(context.exportId),
      directory,
      name: 'out.jsonl',
    });
    expect(restartable).toBe(true);
    expect(await filesIn(directory)).toEqual([]);
  });

  it('has its URL escaped, whatever the name holds', async () => {
    const directory = await temporaryDirectory();
    const sink = await (await prepareFile(join(directory, 'a #1%?ö.jsonl'), aContext())).open();
    await sink.seal();
    const { url, location } = await sink.publish('');
    expect(location).toBe(join(directory, 'a #1%?ö.jsonl'));
    expect(await readFile(new URL(url ?? ''), 'utf8')).toBe('');
  });

  it('takes writes of many megabytes, and lets the caller reuse the memory after each', async () => {
    const directory = await temporaryDirectory();
    const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
    const pieces = [Buffer.alloc(32 * 1024 * 1024, 'abc\n'), Buffer.alloc(0), Buffer.alloc(1, 'x'), BYTES];
    await writeReusing(sink, pieces);
    const { size, sha256: hash } = await sink.seal();
    await sink.publish('');
    const whole = Buffer.concat(pieces);
    expect([size, hash]).toEqual([whole.length, sha256(whole)]);
    expect(sha256(await readFile(join(directory, 'out')))).toBe(hash);
  });

  it.each([
    ['a file', (path: string) => writeFile(path, 'victim')],
    ['a directory', (path: string) => mkdir(path)],
    ['a link to nothing', (path: string) => symlink('nowhere', path)],
    ['a link to a file', (path: string) => symlink('victim', path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ])('is refused before the run where %s stands', async (what, plant) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'victim'), 'victim');
    await plant(join(directory, 'out'));
    const before = await lstat(join(directory, 'out'));
    await expect(prepareFile(join(directory, 'out'), aContext())).rejects.toMatchObject({
      code: 'E_OUTPUT_EXISTS',
    });
    // Force replaces regular files alone.
    const forced = prepareFile(join(directory, 'out'), aContext({ force: true }));
    if (what === 'a file') await forced;
    else await expect(forced).rejects.toMatchObject({ code: 'E_OUTPUT_EXISTS' });
    expect((await lstat(join(directory, 'out'))).ino).toBe(before.ino);
    expect(await filesIn(directory)).toEqual(['out', 'victim']);
  });

  it.each([
    ['a file', (path: string) => writeFile(path, 'victim')],
    ['a link to nothing', (path: string) => symlink('nowhere', path)],
    ['a link to a file', (path: string) => symlink('victim', path)],
    ['a directory', (path: string) => mkdir(path)],
  ])('replaces nothing when %s appears during the run', async (_what, plant) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'victim'), 'victim');
    const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
    await sink.write(BYTES);
    await sink.seal();
    await plant(join(directory, 'out'));
    const before = await lstat(join(directory, 'out'));
    await expect(sink.publish('')).rejects.toMatchObject({ code: 'E_OUTPUT_EXISTS' });
    await sink.abort();
    expect((await lstat(join(directory, 'out'))).ino).toBe(before.ino);
    expect(await filesIn(directory)).toEqual(['out', 'victim']);
    expect(await readFile(join(directory, 'victim'), 'utf8')).toBe('victim');
  });

  it('names a path with control characters visibly', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'a\u001b[2J'), '');
    const error: unknown = await prepareFile(join(directory, 'a\u001b[2J'), aContext()).catch(
      (error: unknown) => error,
    );
    expect((error as Error).message).toContain(String.raw`a\u{1b}[2J exists already`);
  });

  it('is given to one of two exports that write it at once', async () => {
    const directory = await temporaryDirectory();
    const sinks = await Promise.all(
      ['one', 'two'].map(async (content) => {
        const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
        await sink.write(Buffer.from(content));
        await sink.seal();
        return sink;
      }),
    );
    const results = await Promise.allSettled(sinks.map((sink) => sink.publish('')));
    await Promise.all(sinks.map((sink) => sink.abort()));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'E_OUTPUT_EXISTS' },
    });
    const winner = results[0]?.status === 'fulfilled' ? 'one' : 'two';
    expect(await filesIn(directory)).toEqual(['out']);
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe(winner);
  });
});

describe('with force', () => {
  it('the file replaces another in one step, and no other name of that one', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'out'), 'old');
    await link(join(directory, 'out'), join(directory, 'other name'));
    const sink = await (await prepareFile(join(directory, 'out'), aContext({ force: true }))).open();
    await sink.write(BYTES);
    await sink.seal();
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('old');
    await sink.publish('');
    expect(await readFile(join(directory, 'out'))).toEqual(BYTES);
    expect(await readFile(join(directory, 'other name'), 'utf8')).toBe('old');
    expect(await filesIn(directory)).toEqual(['other name', 'out']);
  });

  it('an abort leaves the old file alone', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'out'), 'old');
    const sink = await (await prepareFile(join(directory, 'out'), aContext({ force: true }))).open();
    await sink.write(BYTES);
    await sink.abort();
    expect(await filesIn(directory)).toEqual(['out']);
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('old');
  });

  it('a link that appears during the run is replaced itself, and its target is left alone', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'victim'), 'victim');
    const sink = await (await prepareFile(join(directory, 'out'), aContext({ force: true }))).open();
    await sink.write(BYTES);
    await sink.seal();
    await symlink('victim', join(directory, 'out'));
    await sink.publish('');
    expect((await lstat(join(directory, 'out'))).isFile()).toBe(true);
    expect(await readFile(join(directory, 'victim'), 'utf8')).toBe('victim');
  });

  it('a published file is not taken back, since the old one is gone', async () => {
    const directory = await temporaryDirectory();
    const sink = await (await prepareFile(join(directory, 'out'), aContext({ force: true }))).open();
    await sink.seal();
    await sink.publish('');
    expect(await sink.retract()).toBe(false);
    expect(await filesIn(directory)).toEqual(['out']);
  });
});

describe('a path that cannot be written is refused before the run', () => {
  it.each<[string, (directory: string) => string, RegExp]>([
    [
      'in a directory that does not exist',
      (directory) => join(directory, 'missing', 'out'),
      /does not exist/,
    ],
    ['below a file', (directory) => join(directory, 'file', 'out'), /not a directory/],
    ['with too long a name', (directory) => join(directory, 'x'.repeat(256)), /name is too long/],
  ])('%s', async (_what, path, message) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'file'), '');
    await expect(prepareFile(path(directory), aContext())).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringMatching(message) as string,
    });
    expect(await filesIn(directory)).toEqual(['file']);
  });

  it('but the longest name that the file system takes is written', async () => {
    const directory = await temporaryDirectory();
    const sink = await (await prepareFile(join(directory, 'x'.repeat(255)), aContext())).open();
    await sink.seal();
    await sink.publish('');
    expect(await filesIn(directory)).toEqual(['x'.repeat(255)]);
  });

  it('also where a directory is meant that is missing, or is a file', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'file'), '');
    for (const name of ['missing', 'file']) {
      await expect(prepareInDirectory(join(directory, name), aContext())).rejects.toMatchObject({
        code: 'E_OUTPUT',
      });
    }
    await expect(prepareManaged(join(directory, 'file'), aContext())).rejects.toMatchObject({
      code: 'E_OUTPUT',
    });
  });
});

describe('the temporary name', () => {
  it.each([
    ['a file', (path: string) => writeFile(path, 'planted')],
    ['a link to a victim', (path: string) => symlink('victim', path)],
    ['a link to nothing', (path: string) => symlink('nowhere', path)],
  ])('is never shared with %s that was planted there', async (_what, plant) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'victim'), 'victim');
    const context = aContext();
    const planted = join(directory, partialName(context.exportId));
    const destination = await prepareFile(join(directory, 'out'), context);
    await plant(planted);
    const before = await lstat(planted);
    await expect(destination.open()).rejects.toMatchObject({ code: 'E_OUTPUT' });
    const after = await lstat(planted);
    expect([after.ino, after.size]).toEqual([before.ino, before.size]);
    expect(await readFile(join(directory, 'victim'), 'utf8')).toBe('victim');
    expect(await filesIn(directory)).toEqual([partialName(context.exportId), 'victim'].sort());
  });

  it('is free again for the next attempt of the same export', async () => {
    const directory = await temporaryDirectory();
    const destination = await prepareFile(join(directory, 'out'), aContext());
    const first = await destination.open();
    await first.write(BYTES);
    await first.abort();
    const second = await destination.open();
    await second.write(BYTES);
    await second.seal();
    await second.publish('');
    expect(await readFile(join(directory, 'out'))).toEqual(BYTES);
  });

  it('is published only while it is our own file', async () => {
    const directory = await temporaryDirectory();
    const context = aContext();
    const partial = join(directory, partialName(context.exportId));
    const sink = await (await prepareFile(join(directory, 'out'), context)).open();
    await sink.seal();
    await rename(partial, join(directory, 'moved'));
    await writeFile(partial, 'planted');
    await expect(sink.publish('')).rejects.toMatchObject({ code: 'E_OUTPUT' });
    await sink.abort();
    expect(await readFile(partial, 'utf8')).toBe('planted');
    expect(await filesIn(directory)).not.toContain('out');
  });
});

describe('a directory that changes during the run', () => {
  it('fails the run when it is gone, and abort does not mind', async () => {
    const directory = join(await temporaryDirectory(), 'inner');
    await mkdir(directory);
    const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
    await rm(directory, { recursive: true });
    await sink.write(BYTES);
    await sink.seal();
    await expect(sink.publish('')).rejects.toMatchObject({ code: 'E_OUTPUT' });
    await sink.abort();
    await expect(lstat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('never lets the file land where a link leads that took its place', async () => {
    const root = await temporaryDirectory();
    const [directory, elsewhere] = [join(root, 'inner'), join(root, 'elsewhere')];
    await mkdir(directory);
    await mkdir(elsewhere);
    const context = aContext();
    await writeFile(join(elsewhere, partialName(context.exportId)), 'planted');
    const sink = await (await prepareFile(join(directory, 'out'), context)).open();
    await sink.write(BYTES);
    await rename(directory, join(root, 'moved'));
    await symlink(elsewhere, directory);
    await sink.seal();
    await expect(sink.publish('')).rejects.toMatchObject({ code: 'E_OUTPUT' });
    await sink.abort();
    expect(await filesIn(elsewhere)).toEqual([partialName(context.exportId)]);
    expect(await readFile(join(elsewhere, partialName(context.exportId)), 'utf8')).toBe('planted');
  });
});

describe('a directory that the user named', () => {
  it('gets the generated name, and numbers where it is taken, before all extensions', async () => {
    const directory = await temporaryDirectory();
    await symlink('nowhere', join(directory, 'data-3.jsonl.gz'));
    const locations: string[] = [];
    for (let run = 0; run < 3; run++) {
      const sink = await (await prepareInDirectory(directory, aContext({ force: true }))).open();
      await sink.seal();
      locations.push((await sink.publish('data.jsonl.gz')).location);
    }
    expect(locations).toEqual(
      ['data.jsonl.gz', 'data-2.jsonl.gz', 'data-4.jsonl.gz'].map((name) => join(directory, name)),
    );
    expect(await readlink(join(directory, 'data-3.jsonl.gz'))).toBe('nowhere');
  });

  it('may be reached through a link', async () => {
    const root = await temporaryDirectory();
    await mkdir(join(root, 'real'));
    await symlink('real', join(root, 'alias'));
    const sink = await (await prepareInDirectory(join(root, 'alias'), aContext())).open();
    await sink.seal();
    await sink.publish('data.jsonl');
    expect(await filesIn(join(root, 'real'))).toEqual(['data.jsonl']);
  });
});

describe('the managed directory', () => {
  it('is made with its parents, marked as ours and private; each export has a directory of its own', async () => {
    const root = join(await temporaryDirectory(), 'a', 'exports');
    const context = aContext();
    const destination = await prepareManaged(root, context);
    expect(await filesIn(root)).toEqual([MANAGED_MARKER]);
    expect([await modeOf(root), await modeOf(root, MANAGED_MARKER)]).toEqual(['700', '600']);
    expect(destination.record).toEqual({
      kind: 'file',
      partial: partialName(context.exportId),
      directory: join(root, context.exportId),
      managed: true,
    });
    const sink = await destination.open();
    await sink.write(BYTES);
    await sink.seal();
    const { location } = await sink.publish('data.jsonl');
    expect(location).toBe(join(root, context.exportId, 'data.jsonl'));
    expect(await filesIn(root)).toEqual(
      [MANAGED_MARKER, context.exportId, join(context.exportId, 'data.jsonl')].sort(),
    );
    expect([await modeOf(root, context.exportId), await modeOf(location)]).toEqual(['700', '600']);
  });

  it('keeps the marker that it has, and nothing of an aborted export', async () => {
    const root = join(await temporaryDirectory(), 'exports');
    await prepareManaged(root, aContext());
    await writeFile(join(root, MANAGED_MARKER), 'kept');
    const sink = await (await prepareManaged(root, aContext())).open();
    await sink.write(BYTES);
    await sink.abort();
    expect(await filesIn(root)).toEqual([MANAGED_MARKER]);
    expect(await readFile(join(root, MANAGED_MARKER), 'utf8')).toBe('kept');
  });

  it('lets a second attempt of one export use the directory of the first', async () => {
    const root = join(await temporaryDirectory(), 'exports');
    const context = aContext();
    const destination = await prepareManaged(root, context);
    await mkdir(join(root, context.exportId));
    const sink = await destination.open();
    await sink.seal();
    await sink.publish('data.jsonl');
    expect(await filesIn(join(root, context.exportId))).toEqual(['data.jsonl']);
  });

  it('takes back a published file together with its directory', async () => {
    const root = join(await temporaryDirectory(), 'exports');
    const sink = await (await prepareManaged(root, aContext())).open();
    await sink.seal();
    await sink.publish('data.jsonl');
    expect(await sink.retract()).toBe(true);
    expect(await filesIn(root)).toEqual([MANAGED_MARKER]);
  });
});

describe('taking back', () => {
  it('removes the file only while it is ours', async () => {
    const directory = await temporaryDirectory();
    const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
    expect(await sink.retract()).toBe(false);
    await sink.seal();
    await sink.publish('');
    await rename(join(directory, 'out'), join(directory, 'kept'));
    await writeFile(join(directory, 'out'), 'of somebody else');
    expect(await sink.retract()).toBe(false);
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('of somebody else');
  });
});

describe('a file that cannot have another hard link', () => {
  it('is moved instead, under a lock that another export respects, and replaces nothing', async ({
    skip,
  }) => {
    const directory = await temporaryDirectory();
    const context = aContext();
    const sink = await (await prepareInDirectory(directory, context)).open();
    await sink.write(BYTES);
    await sink.seal();
    // A file system allows a file so many names: ext4 65,000. Where it sets no such bound, there is nothing to see.
    await mkdir(join(directory, 'names'));
    if (!useUpLinks(join(directory, partialName(context.exportId)), join(directory, 'names', 'n'))) skip();
    await writeFile(join(directory, 'data.jsonl'), 'victim');
    await writeFile(join(directory, '.data-2.jsonl.lock'), 'of another export');
    expect((await sink.publish('data.jsonl')).location).toBe(join(directory, 'data-3.jsonl'));
    await rm(join(directory, 'names'), { recursive: true });
    expect(await filesIn(directory)).toEqual(['.data-2.jsonl.lock', 'data-3.jsonl', 'data.jsonl']);
    expect(await readFile(join(directory, 'data-3.jsonl'))).toEqual(BYTES);
    expect(await readFile(join(directory, 'data.jsonl'), 'utf8')).toBe('victim');
  });
});

function useUpLinks(path: string, prefix: string): boolean {
  for (let number = 0; number < 65_535; number++) {
    try {
      linkSync(path, `${prefix}-${number}`);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EMLINK';
    }
  }
  return false;
}

describe('a file system that refuses', () => {
  it('the rest of a write leaves nothing behind, and the user learns about the space', async ({ skip }) => {
    const directory = (await mounted('size=64k')) ?? skip();
    const sink = await (await prepareFile(join(directory, 'out'), aContext())).open();
    await sink.write(Buffer.alloc(10_000));
    // The system takes a part of this one: a short write, and only the rest fails.
    await expect(sink.write(Buffer.alloc(100_000))).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('there is no space left on the device') as string,
      hint: expect.stringContaining('Free some space') as string,
    });
    await sink.abort();
    expect(await filesIn(directory)).toEqual([]);
  });

  it('another file refuses to open one', async ({ skip }) => {
    const directory = (await mounted('nr_inodes=1')) ?? skip();
    const destination = await prepareFile(join(directory, 'out'), aContext());
    await expect(destination.open()).rejects.toMatchObject({ code: 'E_OUTPUT' });
    expect(await filesIn(directory)).toEqual([]);
  });

  it('any change is found before the run', async ({ skip }) => {
    const directory = (await mounted('ro')) ?? skip();
    await expect(prepareFile(join(directory, 'out'), aContext())).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('read-only') as string,
    });
    await expect(prepareManaged(join(directory, 'exports'), aContext())).rejects.toMatchObject({
      code: 'E_OUTPUT',
    });
  });
});

/** A directory on a file system of its own in memory, where the tests may mount one: as root on Linux. */
async function mounted(options: string): Promise<string | undefined> {
  const directory = await temporaryDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  onTestFinished(() => void execFileSync('umount', ['--lazy', directory]));
  return directory;
}

describe('numberedName', () => {
  it.each([
    ['a.jsonl', 'a-2.jsonl'],
    ['a.jsonl.gz', 'a-2.jsonl.gz'],
    ['a', 'a-2'],
  ])('numbers %s as %s', (name, numbered) => {
    expect(numberedName(name, 2)).toBe(numbered);
  });
});
