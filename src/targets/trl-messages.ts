import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import { parseToolCall } from '../tool-turns.js';
import { writeMessages } from './messages.js';
import type { Example, Message } from './target.js';

const COMMA = Buffer.from(',');
const TOOLS = Buffer.from(',"tools":');

/** The messages without brackets, calls as TRL and chat templates want them: arguments as an object. */
export function writeTrlMessages(
  { system, messages }: Pick<Example, 'system' | 'messages'>,
  out: ByteWriter,
): void {
  if (system !== null) {
    writeMessages({ system, messages: [], tools: null }, out);
    if (messages.length > 0) out.bytes(COMMA);
  }
  let call = '';
  for (const [index, message] of messages.entries()) {
    if (index > 0) out.bytes(COMMA);
    if (message.role === 'tool_call') {
      call = `call${String(index).padStart(5, '0')}`;
      writeCall(message, call, out);
    } else if (message.role === 'tool') {
      out.bytes(Buffer.from(`{"role":"tool","tool_call_id":"${call}","content":`));
      out.jsonString(message.content);
      out.bytes(Buffer.from('}'));
    } else {
      writeMessages({ system: null, messages: [message], tools: null }, out);
    }
  }
}

/** The column of schemas, as text: as objects, `datasets` fills the gaps of one with the keys of the others. */
export function writeTrlTools(tools: Text | null, out: ByteWriter): void {
  if (tools === null) return;
  out.bytes(TOOLS);
  out.jsonString(tools);
}

function writeCall(message: Message, id: string, out: ByteWriter): void {
  const call = parseToolCall({ number: 0, ...message });
  if (call === null) throw new Error('a malformed tool call got past the checks');
  out.bytes(
    Buffer.from(
      `{"role":"assistant","content":"","tool_calls":[{"id":"${id}","type":"function","function":{"name":`,
    ),
  );
  out.jsonString(Text.of(call.name));
  out.bytes(Buffer.from(',"arguments":'));
  out.json(Text.of(call.arguments));
  out.bytes(Buffer.from('}}]}'));
}
