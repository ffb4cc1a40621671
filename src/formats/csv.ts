import { ByteWriter } from '../bytes/byte-writer.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import { Text } from '../bytes/text.js';
import type { Conversation, ConversationField } from '../conversation.js';
import { writeCell } from './csv-cell.js';
import { startsLikeFormula } from './csv-formulas.js';
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

const BOM = Buffer.from('\ufeff');
const COMMA = 0x2c;
const LINE_FEED = 0x0a;
/** A cell of a spreadsheet holds this many UTF-16 code units in Excel, which cuts the rest without a word. */
const EXCEL_CELL = 32_767;

/** What is counted of cells. */
interface Notes {
  guarded: number;
  long: number;
}

/** Cells that stand in every row of a conversation, made once for all of them. */
interface SharedCells {
  readonly bytes: ByteWriter;
  notes: Notes;
}

class CsvEncoder implements Encoder {
  readonly #options: EncodeOptions;
  readonly #columns: readonly Column[];
  /** The columns before and behind those of the turn. */
  readonly #head: readonly Column[];
  readonly #tail: readonly Column[];
  readonly #before: SharedCells = { bytes: new ByteWriter(1024), notes: { guarded: 0, long: 0 } };
  readonly #after: SharedCells = { bytes: new ByteWriter(1024), notes: { guarded: 0, long: 0 } };
  /** A handful in any database. */
  readonly #roles = new Map<string, Text>();
  readonly #notes: Notes = { guarded: 0, long: 0 };

  constructor(options: EncodeOptions) {
    this.#options = options;
    this.#columns = shownColumns(options);
    const isOfTurn = ({ from }: Column): boolean => 'turn' in from;
    const first = this.#columns.findIndex(isOfTurn);
    this.#head = first < 0 ? this.#columns : this.#columns.slice(0, first);
    this.#tail = first < 0 ? [] : this.#columns.slice(this.#columns.findLastIndex(isOfTurn) + 1);
  }

  begin(out: ByteWriter): void {
    if (this.#options.bom) out.bytes(BOM);
    out.bytes(Buffer.from(`${this.#columns.map(({ name }) => name).join(',')}\n`));
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    this.#share(this.#before, this.#head, conversation);
    if (!this.#options.includeFullContent) {
      this.#copy(this.#before, out);
      out.byte(LINE_FEED);
      return;
    }
    this.#share(this.#after, this.#tail, conversation);
    for (const { number, role, content } of conversation.turns) {
      this.#copy(this.#before, out);
      out.byte(COMMA);
      out.ascii(String(number));
      out.byte(COMMA);
      this.#text(this.#role(role), out, this.#notes);
      out.byte(COMMA);
      if (content !== null) this.#text(content, out, this.#notes);
      if (this.#tail.length > 0) out.byte(COMMA);
      this.#copy(this.#after, out);
      out.byte(LINE_FEED);
    }
  }

  end(): void {
    // Every row already ends with its newline.
  }

  notes(): Record<string, number> {
    const { guarded, long } = this.#notes;
    return {
      ...(guarded > 0 && { 'cells guarded against being run as formulas': guarded }),
      ...(long > 0 && { 'cells longer than 32,767 characters, which Excel cuts': long }),
    };
  }

  #share(cells: SharedCells, columns: readonly Column[], conversation: Conversation): void {
    cells.bytes.clear();
    cells.notes = { guarded: 0, long: 0 };
    columns.forEach(({ from }, index) => {
      if (index > 0) cells.bytes.byte(COMMA);
      if ('member' in from) this.#cell(conversation[from.member], from.kind, cells);
    });
  }

  #copy({ bytes, notes }: SharedCells, out: ByteWriter): void {
    out.bytes(bytes.view());
    this.#notes.guarded += notes.guarded;
    this.#notes.long += notes.long;
  }

  #cell(value: Text | null, kind: Kind, { bytes, notes }: SharedCells): void {
    if (value === null) return;
    if (kind === 'text') this.#text(value, bytes, notes);
    else if (kind === 'json') this.#text(onOneLine(value), bytes, notes);
    else if (kind === 'number' ? isJsonNumber(value) : isIsoInstant(value)) write(value, false, bytes, notes);
  }

  #text(value: Text, out: ByteWriter, notes: Notes): void {
    write(value, !this.#options.rawCells && startsLikeFormula(value), out, notes);
  }

  #role(role: string): Text {
    let text = this.#roles.get(role);
    if (text === undefined) {
      text = Text.of(role);
      this.#roles.set(role, text);
    }
    return text;
  }
}

function write(value: Text, guarded: boolean, out: ByteWriter, notes: Notes): void {
  writeCell(out, value, guarded);
  if (guarded) notes.guarded++;
  const apostrophe = guarded ? 1 : 0;
  // A code unit takes a byte at least.
  if (value.byteLength + apostrophe <= EXCEL_CELL) return;
  if (value.toString().length + apostrophe > EXCEL_CELL) notes.long++;
}

/** JSON as the other formats write it: without line breaks between its tokens, lone surrogates replaced. */
function onOneLine(value: Text): Text {
  const out = new ByteWriter(value.byteLength);
  out.json(value);
  return new Text(out.view());
}
