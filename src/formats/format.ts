import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Conversation, ConversationField } from '../conversation.js';

/** What a file shows of each conversation: the six include flags of `ExportConfig`. */
export interface ContentOptions {
  readonly includeMetadata: boolean;
  readonly includeQualityScores: boolean;
  readonly includeTimestamps: boolean;
  readonly includeApprovalHistory: boolean;
  readonly includeParentReferences: boolean;
  readonly includeFullContent: boolean;
}

/** How a file is laid out; each format knows some of these. */
export interface LayoutOptions {
  /** JSON without line breaks and indentation. */
  readonly compact: boolean;
  /** A byte order mark at the start of CSV, which spreadsheets need to see UTF-8. */
  readonly bom: boolean;
  /** CSV cells as they are, without the guard against being run as formulas. */
  readonly rawCells: boolean;
}

export interface EncodeOptions extends ContentOptions, LayoutOptions {
  /** When the data was read, ISO 8601 in UTC: the only clock that a format has. */
  readonly exportedAt: string;
}

/**
 * Writes one document, conversation by conversation. State lives in the encoder, never in the format; it has no clock
 * and does no I/O. `begin` is called once before, `end` once after all conversations, also when there are none.
 */
export interface Encoder {
  /** @param count conversations in the document, for a format that needs it first, else null */
  begin(out: ByteWriter, count: number | null): void;
  conversation(conversation: Conversation, out: ByteWriter): void;
  end(out: ByteWriter): void;
  /** What was done to the data on the way, by plain-words reason: how often. Called after `end`. */
  notes?(): Readonly<Record<string, number>>;
}

/** A file format. A new one is one file beside this and one entry in `index.ts`. */
export interface Format {
  /** One line for help texts and menus: what the format is for. */
  readonly summary: string;
  /** The document starts with the number of its conversations, so `begin` is called after all of them were encoded. */
  readonly needsCount?: boolean;
  /** The members this format reads, so that the database sends nothing else. */
  fields(content: ContentOptions): readonly ConversationField[];
  encoder(options: EncodeOptions): Encoder;
}
