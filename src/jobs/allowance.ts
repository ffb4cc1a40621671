import type { Access } from '../db/access.js';
import { countRecent } from '../db/jobs.js';
import { LoraExportError } from '../errors.js';

/**
 * Holds a user to so many exports an hour, where somebody wants that; failed ones count.
 * @throws LoraExportError `E_STALLED` when they are used up
 */
export async function requireAllowance(
  access: Access,
  userId: string,
  mostPerHour: number | undefined,
): Promise<void> {
  if (mostPerHour === undefined || (await countRecent(access, userId)) < mostPerHour) return;
  throw new LoraExportError(
    'E_STALLED',
    `User ${userId} has begun ${mostPerHour} exports within the last hour, as many as are allowed.`,
    { hint: 'Try again later, or raise the setting maxExportsPerHour.', retryable: false },
  );
}
