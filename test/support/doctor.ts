import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDatabaseUrl } from '../../src/db/target.js';
import { diagnose, type Check, type CheckName, type Diagnosis } from '../../src/doctor.js';
import type { DoctorContext } from '../../src/doctor/context.js';

/** A directory that nobody else has, with nothing in it. */
export function makeDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'lora-doctor-'));
}

/** What the doctor is told of a database, by default as little as possible; `directory` need not exist. */
export function contextOf(url: string, more: Partial<DoctorContext> = {}): DoctorContext {
  return {
    database: parseDatabaseUrl(url, 'the test'),
    isEmbedded: false,
    origin: 'the test',
    schema: 'public',
    auditSchema: 'public',
    userId: undefined,
    userOrigin: undefined,
    allUsers: false,
    directory: join(tmpdir(), 'lora-doctor-nowhere'),
    uid: process.getuid?.() ?? null,
    ...more,
  };
}

export function diagnoseUrl(url: string, more: Partial<DoctorContext> = {}): Promise<Diagnosis> {
  return diagnose(contextOf(url, more));
}

export function checkOf({ checks }: Diagnosis, name: CheckName): Check {
  const found = checks.find((check) => check.name === name);
  if (found === undefined) throw new Error(`There is no check ${name}.`);
  return found;
}

/** Names by status, such as `{ ok: ['settings', …], failed: ['connection'] }`. */
export function byStatus({ checks }: Diagnosis): Partial<Record<Check['status'], string[]>> {
  const names: Partial<Record<Check['status'], string[]>> = {};
  for (const { name, status } of checks) (names[status] ??= []).push(name);
  return names;
}
