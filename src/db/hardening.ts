import type postgres from 'postgres';

import { HARDENING_TRIGGERS } from './audit-schema.js';

/** A trigger of the hardening as the catalog knows it. */
interface FoundTrigger {
  readonly table: string;
  readonly name: string;
  /** `pg_trigger.tgenabled`: `O` and `A` fire in ordinary sessions. */
  readonly enabled: string;
  /** `pg_trigger.tgtype`: on what it fires, and when, as bits. */
  readonly type: number;
  /** Fires only for some columns, or under a condition. */
  readonly isLimited: boolean;
  readonly body: string;
}

/** Whether `sql/optional/hardened.sql` was applied to the audit tables of a schema, if only a part of it is left. */
export async function isHardened(tx: postgres.ISql, schema: string): Promise<boolean> {
  return (await readTriggers(tx, schema)).length > 0;
}

/**
 * What weakens the triggers of a hardened audit log; empty when nothing does, `null` when it is not hardened.
 * @param body the text of the trigger function, from the file
 */
export async function hardeningProblems(
  tx: postgres.ISql,
  schema: string,
  body: string,
): Promise<string[] | null> {
  const triggers = await readTriggers(tx, schema);
  if (triggers.length === 0) return null;
  return HARDENING_TRIGGERS.flatMap(({ table, name, type }) => {
    const found = triggers.find((trigger) => trigger.table === table && trigger.name === name);
    if (found === undefined) return [`${name} missing`];
    if (found.enabled !== 'O' && found.enabled !== 'A') return [`${name} disabled`];
    if (found.type !== type || found.isLimited) return [`${name} fires on something else`];
    return found.body.replaceAll('\r\n', '\n') === body ? [] : [`${name} of another version`];
  });
}

async function readTriggers(tx: postgres.ISql, schema: string): Promise<FoundTrigger[]> {
  return tx<FoundTrigger[]>`
    select t.relname as table, g.tgname as name, g.tgenabled as enabled, g.tgtype as type, p.prosrc as body,
      g.tgqual is not null or cardinality(g.tgattr::int2[]) > 0 as "isLimited"
    from pg_trigger g
    join pg_proc p on p.oid = g.tgfoid
    join pg_class t on t.oid = g.tgrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${schema} and not g.tgisinternal
      and g.tgname in ${tx(HARDENING_TRIGGERS.map(({ name }) => name))}`;
}
