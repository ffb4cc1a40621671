import { open } from 'node:fs/promises';

/** Makes what was created, renamed or removed in a directory survive a crash: names are data of the directory. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
