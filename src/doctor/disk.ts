import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import { outputError } from '../sinks/output-errors.js';
import type { DoctorContext } from './context.js';
import { nearestExisting } from './directory.js';
import { failed, failedBy, ok, warning, type Finding } from './finding.js';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Less free space than this is worth a word. */
const COMFORTABLE = GIB;
/** With less than this, nothing can be exported. */
const NEEDED = MIB;
/** The temporary file, its growth since the last time, and room for the rest of the machine. */
const TIMES_LAST = 3;
const FEW_FILES = 100;

export interface FreeSpace {
  /** Bytes that this user may still write. */
  readonly bytes: number;
  /** Files that may still be made; null where the file system sets no number. */
  readonly files: number | null;
}

/** Whether there is room for the next export. */
export async function checkDisk({ directory }: DoctorContext, lastSize: number | null): Promise<Finding> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(await nearestExisting(resolve(directory)));
    return judgeSpace({ bytes: bavail * bsize, files: files === 0 ? null : ffree }, lastSize);
  } catch (error) {
    return failedBy(outputError(error, directory));
  }
}

/** @param lastSize bytes of the latest export, where there is one */
export function judgeSpace({ bytes, files }: FreeSpace, lastSize: number | null): Finding {
  const fix = 'Remove expired files with `lora-export cleanup`, or use another disk (LORA_EXPORT_DIR).';
  const free = `${amount(bytes)} free for exports`;
  if (bytes < NEEDED) return failed('E_OUTPUT', `${free}: the disk is full.`, fix);
  if (files !== null && files < FEW_FILES)
    return warning(`${free}, but only ${files} more files can be made`, fix);
  if (lastSize !== null && bytes < TIMES_LAST * lastSize)
    return warning(`${free}, less than ${TIMES_LAST} times the latest export (${amount(lastSize)})`, fix);
  return bytes < COMFORTABLE ? warning(`${free}, less than ${amount(COMFORTABLE)}`, fix) : ok(free);
}

function amount(bytes: number): string {
  return bytes < GIB ? `${(bytes / MIB).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;
}
