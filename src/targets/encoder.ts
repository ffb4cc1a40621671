import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import type { Conversation } from '../conversation.js';
import type { Encoder } from '../formats/format.js';
import { toolSchemasOf } from '../tool-schemas.js';
import type { Example, Message, RowShape, Target } from './target.js';

const BYTE_ORDER_MARK = Buffer.from('\u{feff}');

/**
 * A target's rows as a document: what the run writes with.
 * @param shape null where rows are made of pairs, which are written elsewhere
 * @param bom false leaves out the byte order mark of a target that documents one. Default: true
 */
export function targetEncoder(target: Target, shape: RowShape | null, bom = true): Encoder {
  return {
    begin(out) {
      if (target.bom && bom) out.bytes(BYTE_ORDER_MARK);
    },
    conversation(conversation: Conversation, out: ByteWriter) {
      shape?.write(exampleOf(conversation, target), out);
    },
    end() {
      // Every row already ends with its newline.
    },
  };
}

/** A conversation that passed the checks, as targets see it. */
export function exampleOf(conversation: Conversation, target: Pick<Target, 'tools'>): Example {
  let system: Text | null = null;
  const messages: Message[] = [];
  for (const { role, content } of conversation.turns) {
    if (content === null)
      throw new Error(`conversation ${conversation.id} got past the checks without content`);
    if (role === 'system') system ??= content;
    else messages.push({ role: role as Message['role'], content });
  }
  return { system, messages, tools: target.tools ? toolsOf(conversation) : null };
}

function toolsOf({ parameters }: Conversation): Text | null {
  const { tools } = toolSchemasOf(parameters);
  return tools.length === 0 ? null : Text.of(JSON.stringify(tools));
}
