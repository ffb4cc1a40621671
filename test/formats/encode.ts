import { ByteWriter } from '../../src/bytes/byte-writer.js';
import type { Conversation } from '../../src/conversation.js';
import type { EncodeOptions, Format } from '../../src/formats/format.js';
import { DEFAULT_ENCODING } from '../support/content-options.js';

/** A whole document, and what its encoder notes. A format that needs the count gets it last, as in a run. */
export function encode(
  format: Format,
  conversations: Iterable<Conversation>,
  options: Partial<EncodeOptions> = {},
): { bytes: Buffer; text: string; notes: Readonly<Record<string, number>> } {
  const encoder = format.encoder({ ...DEFAULT_ENCODING, ...options });
  const head = new ByteWriter();
  const body = new ByteWriter();
  if (!format.needsCount) encoder.begin(head, null);
  let count = 0;
  for (const conversation of conversations) {
    encoder.conversation(conversation, body);
    count++;
  }
  if (format.needsCount) encoder.begin(head, count);
  encoder.end(body);
  const bytes = Buffer.concat([head.view(), body.view()]);
  return { bytes, text: bytes.toString('utf8'), notes: encoder.notes?.() ?? {} };
}
