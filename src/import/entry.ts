import type { ImportTables } from '../db/write-conversations.js';
import { nameUuid } from './identity.js';
import type { ParsedLine } from './parse-line.js';

/** One line on its way into the tables. */
export interface Entry {
  readonly line: ParsedLine;
  /** Business key, in the spelling that the column stores. */
  readonly key: string;
  readonly id: string;
  readonly isNew: boolean;
  /** Columns that the line gives a value for, as the table names them. */
  readonly columns: readonly string[];
  /** Values that take precedence over the line's own, by column. */
  readonly row: Readonly<Record<string, unknown>>;
  /** What a new conversation gets where its line says nothing, by column. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly turnColumns: readonly string[];
  /** When the turns were written: null where the line does not say. */
  readonly turnsAt: string | null;
  /** Only so many turns; for finding the one that the database refuses. */
  readonly take?: number;
}

/** The columns of an entry that are written: a conversation that exists keeps what its line does not mention. */
export function writtenColumns(entry: Entry): readonly string[] {
  return entry.isNew ? ['id', ...entry.columns, ...Object.keys(entry.defaults)] : entry.columns;
}

/**
 * The entries as the statements of `write-conversations.ts` read them. Each line goes in as it stands in the file.
 * Only what is to be written as turns needs the ids of turns, which take a digest each.
 */
export function toLinesJson(
  entries: readonly Entry[],
  tables: ImportTables,
  purpose: 'rows' | 'turns' = 'rows',
): string {
  return `[${entries.map((entry) => toLineJson(entry, tables, purpose)).join(',')}]`;
}

function toLineJson(entry: Entry, tables: ImportTables, purpose: 'rows' | 'turns'): string {
  const { id, key, line, turnsAt, take } = entry;
  const members = JSON.stringify({
    id,
    row: { ...entry.row, ...(entry.isNew ? entry.defaults : {}), id },
    turns_of: tables.turnTarget === 'id' ? id : key,
    turns_at: turnsAt,
    // From key and number, so that the same import gives the same database.
    turn_ids:
      purpose === 'turns' && entry.turnColumns.includes('id')
        ? line.turns.map((turn, index) => nameUuid(`turn/${turn.turn_number ?? index + 1}/${key}`))
        : [],
    ...(take === undefined ? {} : { take }),
  });
  return `${members.slice(0, -1)},"doc":${line.json}}`;
}
