import { openAccess, type Access } from '../../src/db/access.js';
import { parseDatabaseUrl } from '../../src/db/target.js';
import type { TestDatabase } from './database.js';

/** Does something with the audit log on behalf of a user; without one, of everybody. */
export async function withAccess<T>(
  database: Pick<TestDatabase, 'url'>,
  userId: string | undefined,
  use: (access: Access) => Promise<T>,
): Promise<T> {
  const access = await openAccess(parseDatabaseUrl(database.url, 'the test'), {
    purpose: 'test',
    auditSchema: 'public',
    userId,
    allUsers: userId === undefined,
  });
  try {
    return await use(access);
  } finally {
    await access.login.close();
  }
}
