import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Conversation, ConversationField } from '../conversation.js';
import type { ContentOptions, Encoder, Format } from './format.js';
import { jsonString, writeJsonValue, type ValueKind } from './json-value.js';

interface MetadataKey {
  readonly key: string;
  readonly member: ConversationField | 'conversationId';
  readonly kind: ValueKind;
  /** The flag that shows it, besides `includeMetadata`. */
  readonly flag?: keyof ContentOptions;
}

/**
 * `metadata` in the order of the original requirements (R52). Every line has the same keys, absent values are null:
 * loaders that infer columns from the first rows fail on keys that appear later.
 */
const METADATA: readonly MetadataKey[] = [
  { key: 'conversation_id', member: 'conversationId', kind: 'text' },
  { key: 'title', member: 'title', kind: 'text' },
  { key: 'tier', member: 'tier', kind: 'text' },
  { key: 'quality_score', member: 'qualityScore', kind: 'number', flag: 'includeQualityScores' },
  { key: 'created_at', member: 'createdAt', kind: 'instant', flag: 'includeTimestamps' },
  { key: 'updated_at', member: 'updatedAt', kind: 'instant', flag: 'includeTimestamps' },
  { key: 'review_history', member: 'reviewHistory', kind: 'json', flag: 'includeApprovalHistory' },
  { key: 'parent_id', member: 'parentId', kind: 'text', flag: 'includeParentReferences' },
  { key: 'parent_type', member: 'parentType', kind: 'text', flag: 'includeParentReferences' },
  { key: 'persona', member: 'persona', kind: 'text' },
  { key: 'emotion', member: 'emotion', kind: 'text' },
  { key: 'topic', member: 'topic', kind: 'text' },
];

/** One conversation per line: `{"messages":[…],"metadata":{…}}`. */
export const jsonl: Format = {
  summary: 'one conversation per line, for LoRA training',
  fields: (content) =>
    shownKeys(content).flatMap(({ member }) => (member === 'conversationId' ? [] : [member])),
  encoder: (content) => new JsonlEncoder(shownKeys(content)),
};

function shownKeys(content: ContentOptions): MetadataKey[] {
  if (!content.includeMetadata) return [];
  return METADATA.filter(({ flag }) => flag === undefined || content[flag]);
}

const MESSAGES = Buffer.from('{"messages":[');
const CONTENT = Buffer.from(',"content":');
const NEXT = Buffer.from('},');
const END_MESSAGES = Buffer.from('}]');
const NO_MESSAGES = Buffer.from(']');
const END_METADATA = Buffer.from('}}\n');
const END_LINE = Buffer.from('}\n');

class JsonlEncoder implements Encoder {
  /** `,"metadata":{"conversation_id":` and so on, one per key, made once. */
  readonly #keys: readonly { prefix: Buffer; member: MetadataKey['member']; kind: ValueKind }[];
  /** `{"role":"user"` by role: a handful in any database. */
  readonly #roles = new Map<string, Buffer>();

  constructor(keys: readonly MetadataKey[]) {
    this.#keys = keys.map(({ key, member, kind }, index) => ({
      prefix: Buffer.from(`${index === 0 ? ',"metadata":{' : ','}${JSON.stringify(key)}:`),
      member,
      kind,
    }));
  }

  begin(): void {
    // JSON Lines has no header.
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    out.bytes(MESSAGES);
    conversation.turns.forEach((turn, index) => {
      if (index > 0) out.bytes(NEXT);
      out.bytes(this.#role(turn.role));
      out.bytes(CONTENT);
      writeJsonValue(out, turn.content, 'text');
    });
    out.bytes(conversation.turns.length === 0 ? NO_MESSAGES : END_MESSAGES);
    for (const { prefix, member, kind } of this.#keys) {
      out.bytes(prefix);
      writeJsonValue(out, conversation[member], kind);
    }
    out.bytes(this.#keys.length === 0 ? END_LINE : END_METADATA);
  }

  end(): void {
    // Every line already ends with its newline.
  }

  #role(role: string): Buffer {
    let prefix = this.#roles.get(role);
    if (prefix === undefined) {
      prefix = Buffer.from(`{"role":${jsonString(role)}`);
      this.#roles.set(role, prefix);
    }
    return prefix;
  }
}
