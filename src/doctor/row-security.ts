import type { Connection } from '../db/connect.js';
import { countVisible } from '../db/diagnosis/row-counts.js';
import { readOnly } from '../db/diagnosis/read-only.js';
import { readSourceRights } from '../db/diagnosis/source-rights.js';
import { LoraExportError } from '../errors.js';
import type { DoctorContext, OpenPatient } from './context.js';
import { ok, warning, type Finding } from './finding.js';

/** Policies hide rows without a word; so they are counted, with and without them where that can be done. */
export async function checkRowSecurity(
  { login, reader, identity, role, limitMs }: OpenPatient,
  { schema }: DoctorContext,
): Promise<Finding> {
  const applies = await policiesOf(reader, schema, limitMs);
  const visible = await count(reader, schema, limitMs);
  if (applies.length === 0) return ok(`no policy applies to ${role}, which sees ${amount(visible)}`);
  const known = (await policiesOf(login, schema, limitMs)).length === 0;
  const total = known ? await count(login, schema, limitMs) : null;
  const tables = `policies on ${applies.join(' and ')} apply to ${role}`;
  if (visible !== null && visible === total) return ok(`${tables}, which sees all ${amount(total)}`);
  const sees = `${tables}, which sees ${amount(visible)}`;
  if (visible !== null && total !== null) {
    return warning(
      `${sees} of ${total}: ${total - visible} are hidden`,
      'Rows of other users are hidden on purpose. To export everything, use a role that policies do not bind, with --all-users; --require-all makes hidden rows an error.',
    );
  }
  const rest = known ? '' : '; how many they hide cannot be told from here';
  return warning(
    visible === 0
      ? `${sees}: everything is hidden${identity?.actor ? '' : ', as it is for a login without a user: auth.uid() is null then'}, or there is nothing${rest}`
      : `${sees}${rest}`,
    identity?.actor
      ? 'Compare with --user set to the owner of the conversations (created_by or user_id); rows without an owner are visible to nobody under the usual policies.'
      : 'Name a user with --user where policies use auth.uid(), or connect with a role that policies do not bind.',
  );
}

function policiesOf(connection: Connection, schema: string, limitMs: number): Promise<string[]> {
  return readOnly(connection, limitMs, async (snapshot) => {
    const rights = await readSourceRights(snapshot.connection, schema);
    return (rights?.tables ?? []).filter(({ policiesApply }) => policiesApply).map(({ table }) => table);
  });
}

/** Null when it takes too long. */
async function count(connection: Connection, schema: string, limitMs: number): Promise<number | null> {
  try {
    return await readOnly(connection, limitMs, (snapshot) => countVisible(snapshot.connection, schema));
  } catch (error) {
    if (error instanceof LoraExportError && error.code === 'E_STALLED' && connection.lost === null)
      return null;
    throw error;
  }
}

function amount(count: number | null): string {
  if (count === null) return 'more conversations than could be counted in time';
  return `${count} ${count === 1 ? 'conversation' : 'conversations'}`;
}
