import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Text } from '../bytes/text.js';
import { writeMessages } from './messages.js';
import type { Example } from './target.js';

const TOOLS = Buffer.from(',"tools":');

/** The messages without brackets, calls as TRL and chat templates want them: arguments as an object. */
export function writeTrlMessages(example: Pick<Example, 'system' | 'messages'>, out: ByteWriter): void {
  writeMessages(example, out, 'object');
}

/** The column of schemas, as text: as objects, `datasets` fills the gaps of one with the keys of the others. */
export function writeTrlTools(tools: Text | null, out: ByteWriter): void {
  if (tools === null) return;
  out.bytes(TOOLS);
  out.jsonString(tools);
}
