import type postgres from 'postgres';
import {
  type ImportTables,
  deleteTurns,
  findChangedTurns,
  insertConversations,
  insertTurns,
  updateConversations,
} from '../db/write-conversations.js';
import { LoraExportError } from '../errors.js';
import { type Entry, toLinesJson, writtenColumns } from './entry.js';

/**
 * Inserts the new entries and brings the others up to date; what is equal already is not written.
 * @returns the ids of the existing conversations that changed
 */
export async function writeBatch(
  tx: postgres.ISql,
  tables: ImportTables,
  entries: readonly Entry[],
): Promise<Set<string>> {
  const fresh = entries.filter((entry) => entry.isNew);
  if (fresh.length > 0) {
    const groups = [...byColumns(fresh, writtenColumns)];
    const rows = await insertConversations(
      tx,
      tables,
      groups.map(([columns, group]) => ({ columns, lines: toLinesJson(group, tables) })),
    );
    if (rows !== fresh.length)
      throw new LoraExportError(
        'E_DB_ACCESS',
        `The database took ${rows} of ${fresh.length} new conversations`,
      );
  }
  await writeTurns(tx, tables, fresh);

  const known = entries.filter((entry) => !entry.isNew);
  if (known.length === 0) return new Set();
  const changed = new Set(await findChangedTurns(tx, tables, toLinesJson(known, tables)));
  const outdated = known.filter((entry) => changed.has(entry.id));
  if (outdated.length > 0) {
    await deleteTurns(
      tx,
      tables,
      outdated.map((entry) => (tables.turnTarget === 'id' ? entry.id : entry.key)),
    );
    await writeTurns(tx, tables, outdated);
  }
  for (const [columns, group] of byColumns(known, writtenColumns)) {
    const outdatedIds = group.map((entry) => entry.id).filter((id) => changed.has(id));
    const written = await updateConversations(tx, tables, columns, toLinesJson(group, tables), outdatedIds);
    written.forEach((id) => changed.add(id));
  }
  return changed;
}

async function writeTurns(tx: postgres.ISql, tables: ImportTables, entries: readonly Entry[]): Promise<void> {
  for (const [columns, group] of byColumns(entries, (entry) => entry.turnColumns)) {
    await insertTurns(tx, tables, columns, toLinesJson(group, tables, 'turns'));
  }
}

/** A column that is not named keeps its default or its value, so lines with different keys need different statements. */
function byColumns(
  entries: readonly Entry[],
  columnsOf: (entry: Entry) => readonly string[],
): Map<readonly string[], Entry[]> {
  const groups = new Map<string, { columns: readonly string[]; entries: Entry[] }>();
  for (const entry of entries) {
    const columns = columnsOf(entry);
    const name = JSON.stringify(columns);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { columns, entries: [entry] });
    else group.entries.push(entry);
  }
  return new Map([...groups.values()].map((group) => [group.columns, group.entries]));
}
