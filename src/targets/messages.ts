import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import { parseToolCall } from '../tool-turns.js';
import type { Example, Message } from './target.js';

const OPEN = Buffer.from('{"messages":[');
const CLOSE = Buffer.from(']');
const COMMA = Buffer.from(',');
const END = Buffer.from('}\n');
const END_MESSAGE = Buffer.from('}');
const TOOLS = Buffer.from(',"tools":');
const SYSTEM = Buffer.from('{"role":"system","content":');
const USER = Buffer.from('{"role":"user","content":');
const ASSISTANT = Buffer.from('{"role":"assistant","content":');

/** `{"messages":[…]}`, with `tools` when the example has them: the common currency of services and trainers. */
export function writeMessagesRow(example: Example, out: ByteWriter): void {
  out.bytes(OPEN);
  writeMessages(example, out);
  out.bytes(CLOSE);
  if (example.tools !== null) {
    out.bytes(TOOLS);
    out.json(example.tools);
  }
  out.bytes(END);
}

/**
 * The messages without brackets, the system prompt first.
 * @param callArguments how a tool call's arguments are written: as services want them, JSON text in a string, or as the
 *   object that TRL and chat templates want. Default: text
 */
export function writeMessages(
  { system, messages }: Pick<Example, 'system' | 'messages'>,
  out: ByteWriter,
  callArguments: 'text' | 'object' = 'text',
): void {
  if (system !== null) {
    writeMessage(SYSTEM, system, out);
    if (messages.length > 0) out.bytes(COMMA);
  }
  let call = '';
  for (const [index, message] of messages.entries()) {
    if (index > 0) out.bytes(COMMA);
    if (message.role === 'tool_call') {
      call = callId(index);
      writeToolCall(message, call, callArguments, out);
    } else if (message.role === 'tool') {
      writeMessage(Buffer.from(`{"role":"tool","tool_call_id":"${call}","content":`), message.content, out);
    } else {
      writeMessage(message.role === 'user' ? USER : ASSISTANT, message.content, out);
    }
  }
}

function writeMessage(head: Buffer, content: Text, out: ByteWriter): void {
  out.bytes(head);
  out.jsonString(content);
  out.bytes(END_MESSAGE);
}

/** The content beside calls is an empty string: most readers accept that, and fewer null or nothing. */
function writeToolCall(
  message: Message,
  id: string,
  callArguments: 'text' | 'object',
  out: ByteWriter,
): void {
  const call = parseToolCall({ number: 0, ...message });
  if (call === null) throw new Error('a malformed tool call got past the checks');
  out.bytes(Buffer.from('{"role":"assistant","content":"","tool_calls":[{"id":'));
  out.jsonString(Text.of(id));
  out.bytes(Buffer.from(',"type":"function","function":{"name":'));
  out.jsonString(Text.of(call.name));
  out.bytes(Buffer.from(',"arguments":'));
  if (callArguments === 'text') out.jsonString(Text.of(call.arguments));
  else out.json(Text.of(call.arguments));
  out.bytes(Buffer.from('}}]}'));
}

/** Nine letters and digits, which Mistral demands and everybody accepts. */
function callId(index: number): string {
  return `call${String(index).padStart(5, '0')}`;
}
