import postgres from 'postgres';
import { LoraExportError } from '../errors.js';

/**
 * Runs the inside of a transaction or savepoint. When the connection is lost there, the promise never settles: the
 * driver's `begin` rejects on its own then, whereas an error would make it send a ROLLBACK to the dead connection, which
 * throws outside any promise (postgres 3.4.9, its issue 1066).
 */
export async function unlessLost<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isLost(error)) return await never();
    throw error;
  }
}

/** For code that learns in another way that the connection is gone. */
export function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

function isLost(error: unknown): boolean {
  if (error instanceof postgres.PostgresError)
    return error.severity === 'FATAL' || error.severity === 'PANIC';
  // A watchdog that closes the connection gives its own reason to open statements.
  if (error instanceof LoraExportError)
    return error.code === 'E_STALLED' || error.code === 'E_DB_UNREACHABLE';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^CONNECTION_|^(?:ECONN|EPIPE|ETIMEDOUT|ENET|EHOST)/.test(code);
}
