import { stringify, type Options } from 'csv-stringify/sync';
import { ByteWriter } from '../bytes/byte-writer.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import type { Text } from '../bytes/text.js';
import type { Conversation, ConversationField, Turn } from '../conversation.js';
import { guardFormula, looksLikeFormula } from './csv-formulas.js';
import type { ContentOptions, EncodeOptions, Encoder, Format } from './format.js';

type Kind = 'text' | 'number' | 'instant' | 'json';

interface Column {
  readonly name: string;
  readonly from:
    | { readonly member: ConversationField | 'conversationId'; readonly kind: Kind }
    | { readonly turn: 'number' | 'role' | 'content' };
  /** The flag that shows it. Default: always shown. */
  readonly flag?: keyof ContentOptions;
}

/** The header of the original requirements (R65), then what further flags append (C14). */
const COLUMNS: readonly Column[] = [
  { name: 'conversation_id', from: { member: 'conversationId', kind: 'text' } },
  { name: 'title', from: { member: 'title', kind: 'text' } },
  { name: 'status', from: { member: 'status', kind: 'text' } },
  { name: 'tier', from: { member: 'tier', kind: 'text' } },
  { name: 'turn_number', from: { turn: 'number' }, flag: 'includeFullContent' },
  { name: 'role', from: { turn: 'role' }, flag: 'includeFullContent' },
  { name: 'content', from: { turn: 'content' }, flag: 'includeFullContent' },
  { name: 'quality_score', from: { member: 'qualityScore', kind: 'number' }, flag: 'includeQualityScores' },
  { name: 'persona', from: { member: 'persona', kind: 'text' }, flag: 'includeMetadata' },
  { name: 'emotion', from: { member: 'emotion', kind: 'text' }, flag: 'includeMetadata' },
  { name: 'topic', from: { member: 'topic', kind: 'text' }, flag: 'includeMetadata' },
  { name: 'created_at', from: { member: 'createdAt', kind: 'instant' }, flag: 'includeTimestamps' },
  { name: 'parent_id', from: { member: 'parentId', kind: 'text' }, flag: 'includeParentReferences' },
  { name: 'parent_type', from: { member: 'parentType', kind: 'text' }, flag: 'includeParentReferences' },
  { name: 'review_history', from: { member: 'reviewHistory', kind: 'json' }, flag: 'includeApprovalHistory' },
];

/**
 * One row per turn, the conversation's columns repeated on each; one row per conversation without the turns.
 *
 * Commas, double quotes, UTF-8 as RFC 4180 says, but rows end in LF, as most programs write and all read. An absent value
 * is an empty cell, an empty text a quoted one (`""`), which PostgreSQL and DuckDB tell apart. Text that a spreadsheet
 * may run as a formula is guarded, see `csv-formulas.ts`; numbers and times are not text and stay as they are. The guard
 * assumes that the file is opened as what it is: where a spreadsheet is told that semicolons separate, cells fall apart.
 */
export const csv: Format = {
  summary: 'one row per turn, for spreadsheets',
  fields: (content) =>
    shownColumns(content).flatMap(({ from }) =>
      'member' in from && from.member !== 'conversationId' ? [from.member] : [],
    ),
  encoder: (options) => new CsvEncoder(options),
};

function shownColumns(content: ContentOptions): Column[] {
  return COLUMNS.filter(({ flag }) => flag === undefined || content[flag]);
}

/** Every option that decides bytes is written out: csv-stringify ignores unknown ones and its defaults cast silently. */
export const STRINGIFY: Options = {
  bom: false,
  cast: { string: (value) => value },
  delimiter: ',',
  eof: true,
  escape: '"',
  escape_formulas: false,
  header: false,
  quote: '"',
  quoted: false,
  quoted_empty: false,
  // Empty text, which would look like an absent value; line breaks of any kind; white space that readers may trim.
  quoted_match: [/^$/, /[\r\n\u0085\u2028\u2029]/, /^\s/, /\s$/],
  quoted_string: false,
  record_delimiter: '\n',
};

const BOM = Buffer.from('\ufeff');
/** Rows are put into CSV so many at a time, so that a conversation with very many turns does not take twice its size. */
const ROWS_AT_ONCE = 256;
/** A cell of a spreadsheet holds this many UTF-16 code units in Excel, which cuts the rest without a word. */
const EXCEL_CELL = 32_767;

type Cell = string | null;

class CsvEncoder implements Encoder {
  readonly #options: EncodeOptions;
  readonly #columns: readonly Column[];
  #guarded = 0;
  #long = 0;

  constructor(options: EncodeOptions) {
    this.#options = options;
    this.#columns = shownColumns(options);
  }

  begin(out: ByteWriter): void {
    if (this.#options.bom) out.bytes(BOM);
    out.bytes(Buffer.from(`${this.#columns.map(({ name }) => name).join(',')}\n`));
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    const shared = this.#columns.map(({ from }): Cell => {
      return 'member' in from ? this.#cell(conversation[from.member], from.kind) : null;
    });
    if (!this.#options.includeFullContent) {
      this.#count(shared);
      out.bytes(Buffer.from(stringify([shared], STRINGIFY)));
      return;
    }
    for (let first = 0; first < conversation.turns.length; first += ROWS_AT_ONCE) {
      const rows = conversation.turns
        .slice(first, first + ROWS_AT_ONCE)
        .map((turn) => this.#row(shared, turn));
      out.bytes(Buffer.from(stringify(rows, STRINGIFY)));
    }
  }

  end(): void {
    // Every row already ends with its newline.
  }

  notes(): Record<string, number> {
    return {
      ...(this.#guarded > 0 && { 'cells guarded against being run as formulas': this.#guarded }),
      ...(this.#long > 0 && { 'cells longer than 32,767 characters, which Excel cuts': this.#long }),
    };
  }

  #row(shared: readonly Cell[], turn: Turn): Cell[] {
    const row = this.#columns.map(({ from }, index): Cell => {
      if ('member' in from) return shared[index] ?? null;
      if (from.turn === 'number') return String(turn.number);
      return this.#text(from.turn === 'role' ? turn.role : (turn.content?.toString() ?? null));
    });
    this.#count(row);
    return row;
  }

  #cell(value: Text | null, kind: Kind): Cell {
    if (value === null) return null;
    if (kind === 'number') return isJsonNumber(value) ? value.toString() : null;
    if (kind === 'instant') return isIsoInstant(value) ? value.toString() : null;
    return this.#text(kind === 'json' ? onOneLine(value) : value.toString());
  }

  #text(value: string | null): Cell {
    return value === null || this.#options.rawCells ? value : guardFormula(value);
  }

  #count(row: readonly Cell[]): void {
    for (const cell of row) {
      if (cell === null) continue;
      if (cell.length > EXCEL_CELL) this.#long++;
      if (!this.#options.rawCells && cell.startsWith("'") && looksLikeFormula(cell)) this.#guarded++;
    }
  }
}

/** JSON as the other formats write it: without line breaks between its tokens, lone surrogates replaced. */
function onOneLine(value: Text): string {
  const out = new ByteWriter(value.byteLength);
  out.json(value);
  return out.view().toString('utf8');
}
