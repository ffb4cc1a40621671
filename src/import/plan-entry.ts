import type { Column, ImportTables } from '../db/write-conversations.js';
import type { Entry } from './entry.js';
import type { Notes } from './notes.js';
import type { ParsedLine } from './parse-line.js';
import { FIELD_NAMES, type FieldName } from './record-schema.js';

/** What every new conversation of an import gets where its line says nothing. */
export interface EntryDefaults {
  readonly status: string;
  readonly createdBy: string | null;
}

/** Who a line is in the tables: its keys, and the parent as far as it is known (undefined: leave the column alone). */
export interface EntryIdentity {
  readonly key: string;
  readonly id: string;
  readonly isNew: boolean;
  readonly parentId: string | null | undefined;
}

/** Two names in circulation for one column: whichever the table has is written. */
const OTHER_NAME: Partial<Record<FieldName, FieldName>> = {
  turn_count: 'total_turns',
  total_turns: 'turn_count',
  total_tokens: 'token_count',
  token_count: 'total_tokens',
};

/** What a column that may not be NULL, and has no default of its own, gets for a text that the file lacks. */
const STAND_INS: Partial<Record<FieldName, string>> = {
  tier: 'template',
  persona: '',
  emotion: '',
  topic: '',
  title: '',
};

/** Fits a line to the columns that the tables have; what does not fit is counted in `notes`. */
export function planEntry(
  line: ParsedLine,
  identity: EntryIdentity,
  tables: ImportTables,
  defaults: EntryDefaults,
  notes: Notes,
): Entry {
  const columns = new Set<string>();
  // A parent as the file names it is no primary key, so it never reaches the server unresolved.
  const row: Record<string, unknown> = { parent_id: identity.parentId ?? null };
  for (const field of FIELD_NAMES) {
    const value = line.fields[field];
    if (field === 'id' || field === 'conversation_id' || value === undefined) continue;
    const name = columnFor(field, tables);
    const column = tables.conversations.get(name);
    if (column === undefined) {
      if (!isEmpty(value)) notes.add(`${field}: the table has no such column`);
    } else if (field === 'parent_id') {
      if (identity.parentId !== undefined) columns.add(name);
    } else if (value !== null || !column.isRequired) {
      columns.add(name);
      if (name !== field) row[name] = value;
      else if (field === 'category') row[name] = fitCategory(line.fields.category ?? null, column, notes);
      else fitValue(field, value, column, row, notes);
    }
  }
  if (tables.conversations.has('conversation_id')) {
    columns.add('conversation_id');
    row['conversation_id'] = identity.key;
  } else if (identity.key !== identity.id) {
    notes.add('conversation_id: the table has no such column');
  }
  for (const name of ['turn_count', 'total_turns']) {
    if (!tables.conversations.has(name) || columns.has(name)) continue;
    columns.add(name);
    row[name] = line.turns.length;
  }
  const fill = identity.isNew ? fillGaps(line, columns, tables, defaults, notes) : {};
  const { created_at: createdAt } = line.fields;
  const turnsAt = createdAt ?? null;
  return {
    line,
    key: identity.key,
    id: identity.id,
    isNew: identity.isNew,
    columns: [...columns],
    row,
    defaults: fill,
    turnColumns: planTurns(line, turnsAt, tables, notes),
    turnsAt: turnsAt === null ? null : fitTime(turnsAt, tables.turns.get('created_at')),
  };
}

function columnFor(field: FieldName, tables: ImportTables): string {
  const other = OTHER_NAME[field];
  return other !== undefined && !tables.conversations.has(field) && tables.conversations.has(other)
    ? other
    : field;
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
}

/** Values whose form depends on the type of the column. All others are converted by the server from the line itself. */
function fitValue(
  field: FieldName,
  value: unknown,
  column: Column,
  row: Record<string, unknown>,
  notes: Notes,
): void {
  if (typeof value === 'string' && field.endsWith('_at')) row[field] = fitTime(value, column);
  if (typeof value === 'number' && column.scale !== null && Number(value.toFixed(column.scale)) !== value) {
    notes.add(`${field}: rounded, because the column is ${column.type}`);
  }
}

function fitCategory(
  given: readonly string[] | string | null,
  column: Column,
  notes: Notes,
): readonly string[] | string | null {
  if (given === null) return null;
  const values = typeof given === 'string' ? [given] : given;
  if (column.type.endsWith('[]') || column.type.startsWith('json')) return values;
  if (values.length > 1) notes.add('category: the column holds one value, the first was kept');
  return values[0] ?? null;
}

/** PostgreSQL ignores the zone of what goes into a `timestamp without time zone`; such columns hold UTC. */
function fitTime(time: string, column: Column | undefined): string {
  const parts = /^(.{16})(:\d\d)?(\.\d+)?([+-].+)$/.exec(time);
  if (parts === null || column === undefined || !/^timestamp(\(\d\))? without/.test(column.type)) return time;
  const [, minute = '', seconds = '', fraction = '', zone = ''] = parts;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const utc = new Date(`${minute.replace(' ', 'T')}${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`);
  return Number.isNaN(utc.getTime()) ? time : `${utc.toISOString().slice(0, 16)}${seconds}${fraction}Z`;
}

function fillGaps(
  line: ParsedLine,
  columns: ReadonlySet<string>,
  tables: ImportTables,
  { status, createdBy }: EntryDefaults,
  notes: Notes,
): Record<string, unknown> {
  const fill: Record<string, unknown> = {};
  const has = (name: string): boolean => tables.conversations.has(name);
  if (has('status') && (line.fields.status ?? null) === null) {
    fill['status'] = status;
    notes.add(`status missing: ${status} used`);
  }
  const owner = line.fields.created_by ?? createdBy;
  for (const name of ['created_by', 'user_id']) {
    if (owner !== null && has(name) && (name === 'user_id' || (line.fields.created_by ?? null) === null))
      fill[name] = owner;
  }
  for (const [name, standIn] of Object.entries(STAND_INS)) {
    const column = tables.conversations.get(name);
    if (column === undefined || !column.isRequired || columns.has(name)) continue;
    // An explicit default of the column is as good as ours, and the table's own choice.
    if (!column.hasDefault) fill[name] = standIn;
    notes.add(
      `${name} missing: ${column.hasDefault ? 'the default of the column' : standIn || 'an empty text'} used`,
    );
  }
  return fill;
}

function planTurns(line: ParsedLine, turnsAt: string | null, tables: ImportTables, notes: Notes): string[] {
  if (line.turns.length === 0) notes.add('conversation without turns');
  const counted = line.turns.filter((turn) => (turn.token_count ?? null) !== null).length;
  const columns = ['conversation_id', 'turn_number', 'role', 'content'];
  if (tables.turns.get('id')?.type === 'uuid') columns.push('id');
  if (turnsAt !== null && tables.turns.has('created_at')) columns.push('created_at');
  if (counted > 0 && tables.turns.has('token_count')) columns.push('token_count');
  else if (counted > 0) notes.add('token_count of a turn: the table has no such column', counted);
  return columns;
}
