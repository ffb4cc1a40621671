import { ByteWriter } from '../bytes/byte-writer.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import { Text } from '../bytes/text.js';

/** What the text of a column stands for in JSON. */
export type ValueKind = 'text' | 'number' | 'instant' | 'json';

const NULL = Buffer.from('null');

/**
 * Appends a column as a JSON value. Null is null, and so is what JSON or ISO 8601 cannot express, such as NaN and
 * infinity: the checks have already counted that.
 */
export function writeJsonValue(out: ByteWriter, value: Text | null, kind: ValueKind): void {
  if (value === null || !isExpressible(value, kind)) out.bytes(NULL);
  else if (kind === 'number') out.text(value);
  else if (kind === 'json') out.json(value);
  else out.jsonString(value);
}

function isExpressible(value: Text, kind: ValueKind): boolean {
  if (kind === 'number') return isJsonNumber(value);
  return kind !== 'instant' || isIsoInstant(value);
}

/** A JSON string as {@link ByteWriter.jsonString} writes it, for what is written again and again. */
export function jsonString(value: string): string {
  const out = new ByteWriter(64);
  out.jsonString(Text.of(value));
  return out.view().toString('utf8');
}
