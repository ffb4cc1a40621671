import type postgres from 'postgres';
import { type ImportTables, findConversations, setParents } from '../db/write-conversations.js';
import { isUuid } from './identity.js';
import type { Notes } from './notes.js';

const CHILDREN_PER_STATEMENT = 1000;

/** What is known about a `parent_id` of the file while its line is written. */
export interface Parent {
  /** What to store now; `undefined` leaves the column alone. */
  readonly id: string | null | undefined;
  /** True when a later line may still change it. */
  readonly isOpen: boolean;
}

/**
 * Turns the `parent_id` of lines, another line's `conversation_id`, into primary keys. A parent may stand anywhere in the
 * file, or be in the database already. A UUID that names no conversation stays as it is: generators store ids of
 * templates there, which live in another table; where the database forbids that, it is left empty.
 */
export interface ParentResolver {
  /** Looks up the parents of a batch, whose own lines must be in `idOf` by now. */
  lookUp(
    tx: postgres.ISql,
    references: readonly string[],
  ): Promise<(reference: string, isNew: boolean) => Parent>;
  /** Notes that the conversation needs another look when all lines are in. */
  keepOpen(child: string, reference: string): void;
  /** Resolves what is open. @returns the ids of the conversations that it changed */
  close(tx: postgres.ISql): Promise<string[]>;
}

const RESOLVED = 'parent_id replaced by the primary key of that conversation';
const LOST = 'parent_id names no conversation: left empty';

export function parentResolver(
  tables: ImportTables,
  idOf: (key: string) => string | undefined,
  keyOf: (text: string) => string,
  notes: Notes,
): ParentResolver {
  const open: { id: string; reference: string }[] = [];
  const keysAreUuids = tables.conversations.get('conversation_id')?.type === 'uuid';

  const storedIds = async (tx: postgres.ISql, references: readonly string[]): Promise<Set<string>> => {
    const uuids = tables.checksParents
      ? references.filter(isUuid).map((reference) => reference.toLowerCase())
      : [];
    return new Set((await findConversations(tx, tables, 'id', uuids)).values());
  };

  return {
    async lookUp(tx, references) {
      const others = [...new Set(references.map(keyOf))].filter((key) => idOf(key) === undefined);
      const searchable = tables.conversations.has('conversation_id')
        ? others.filter((key) => !keysAreUuids || isUuid(key))
        : [];
      const stored = await findConversations(tx, tables, 'conversation_id', searchable);
      const ids = await storedIds(tx, others);
      return (reference, isNew) => {
        const id = idOf(keyOf(reference)) ?? stored.get(keyOf(reference));
        if (id !== undefined) {
          notes.add(RESOLVED);
          return { id, isOpen: false };
        }
        if (ids.has(reference.toLowerCase())) return { id: reference, isOpen: false };
        if (isUuid(reference) && !tables.checksParents) return { id: reference, isOpen: true };
        return { id: isNew ? null : undefined, isOpen: true };
      };
    },
    keepOpen(child, reference) {
      open.push({ id: child, reference });
    },
    async close(tx) {
      const changed: string[] = [];
      for (let from = 0; from < open.length; from += CHILDREN_PER_STATEMENT) {
        const some = open.slice(from, from + CHILDREN_PER_STATEMENT);
        const ids = await storedIds(
          tx,
          some.map(({ reference }) => reference),
        );
        const children: { id: string; parent_id: string | null }[] = [];
        for (const { id, reference } of some) {
          const parent = idOf(keyOf(reference));
          if (parent !== undefined) notes.add(RESOLVED);
          else if (isUuid(reference) && !tables.checksParents) continue;
          else if (!ids.has(reference.toLowerCase())) notes.add(LOST);
          children.push({ id, parent_id: parent ?? (ids.has(reference.toLowerCase()) ? reference : null) });
        }
        changed.push(...(await setParents(tx, tables, children)));
      }
      return changed;
    },
  };
}
