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

/**
 * Writes one document, conversation by conversation. State lives in the encoder, never in the format; it has no clock
 * and does no I/O. `begin` is called once before, `end` once after all conversations, also when there are none.
 */
export interface Encoder {
  begin(out: ByteWriter): void;
  conversation(conversation: Conversation, out: ByteWriter): void;
  end(out: ByteWriter): void;
}

/** A file format. A new one is one file beside this and one line in `index.ts`. */
export interface Format {
  /** Without the dot. */
  readonly extension: string;
  readonly mediaType: string;
  /** One line for help texts and menus: what the format is for. */
  readonly summary: string;
  /** The members this format reads, so that the database sends nothing else. */
  fields(content: ContentOptions): readonly ConversationField[];
  encoder(content: ContentOptions): Encoder;
}
