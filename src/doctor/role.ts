import type { Connection } from '../db/connect.js';
import { readOnly } from '../db/diagnosis/read-only.js';
import { readSessionFacts } from '../db/diagnosis/session-facts.js';
import { sqlName } from '../db/diagnosis/sql-name.js';
import { identify, requireUser, type Identity } from '../db/identity.js';
import { LoraExportError } from '../errors.js';
import type { DoctorContext } from './context.js';
import { failedBy, ok, warning, type Examined, type Finding } from './finding.js';

/** Who asks. */
export interface RoleFacts {
  /** The role of the login. */
  readonly loginRole: string;
  /** Null when it could not be settled, because a user has to be named or does not exist. */
  readonly identity: Identity | null;
}

/** Who the login is, on whose behalf it would export, and whether it may. */
export async function checkRole(
  login: Connection,
  { userId, allUsers }: DoctorContext,
  limitMs: number,
): Promise<Examined<RoleFacts>> {
  return readOnly(login, limitMs, async ({ connection }) => {
    const { role: loginRole, isSuperuser, bypassesPolicies } = await readSessionFacts(connection);
    const who = `${loginRole}${isSuperuser ? ' (superuser)' : bypassesPolicies ? ' (BYPASSRLS)' : ''}`;
    let identity: Identity | null = null;
    try {
      identity = await identify(connection, { userId, allUsers });
      if (identity.owner !== null) requireUser(identity);
      return { finding: judge(identity, who), value: { loginRole, identity } };
    } catch (error) {
      // A refusal is a finding, and what is known of the role stays known; a lost connection ends the check.
      if (!(error instanceof LoraExportError) || !['E_USAGE', 'E_DB_ACCESS'].includes(error.code))
        throw error;
      return { finding: failedBy(error), value: { loginRole, identity } };
    }
  });
}

function judge(identity: Identity, who: string): Finding {
  const { actor, role } = identity;
  if (actor === null || actor.role !== null) return ok(`${who}${onBehalf(identity)}`);
  return warning(
    `${who} speaks for user ${actor.userId}, but may not take the role authenticated: policies for ${role} decide what is visible`,
    'Grant it that role, if policies are written for it.',
    [`grant authenticated to ${sqlName(role)};`],
  );
}

function onBehalf({ userId, origin, actor, owner }: Identity): string {
  if (owner === null) return ", for everybody's exports (--all-users)";
  if (actor !== null) return `, acting as ${actor.role} for user ${actor.userId}`;
  return origin === 'role'
    ? `; the database keeps no users, so the audit log names the role by ${userId}`
    : `, for user ${userId}`;
}
