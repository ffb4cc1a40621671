import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import type { Conversation, ConversationField } from '../conversation.js';
import { LoraExportError } from '../errors.js';
import { DecimalAverage } from './decimal-average.js';
import type { ContentOptions, EncodeOptions, Encoder, Format } from './format.js';
import { jsonLayout, type JsonLayout } from './json-layout.js';
import { jsonString, writeJsonValue, type ValueKind } from './json-value.js';

/** Of the document's shape (R63): it changes when a reader of the old shape would misread the new one. */
const VERSION = '1.0';

type Kind = ValueKind | 'turn count' | 'object';

interface MetadataKey {
  readonly key: string;
  readonly member: ConversationField | 'turns';
  readonly kind: Kind;
  /** The flag that shows it, besides `includeMetadata`. */
  readonly flag?: keyof ContentOptions;
}

const HEAD = ['title', 'status', 'tier'] as const;

/**
 * `metadata` in the order of the original requirements (R59). Absent values are null, so that every conversation has the
 * same keys; only `parameters` is left out when there are none. `total_turns` is counted: the stored number may be stale.
 */
const METADATA: readonly MetadataKey[] = [
  { key: 'persona', member: 'persona', kind: 'text' },
  { key: 'emotion', member: 'emotion', kind: 'text' },
  { key: 'topic', member: 'topic', kind: 'text' },
  { key: 'category', member: 'category', kind: 'json' },
  { key: 'total_turns', member: 'turns', kind: 'turn count' },
  { key: 'token_count', member: 'totalTokens', kind: 'number' },
  { key: 'quality_score', member: 'qualityScore', kind: 'number', flag: 'includeQualityScores' },
  { key: 'created_at', member: 'createdAt', kind: 'instant', flag: 'includeTimestamps' },
  { key: 'updated_at', member: 'updatedAt', kind: 'instant', flag: 'includeTimestamps' },
  { key: 'review_history', member: 'reviewHistory', kind: 'json', flag: 'includeApprovalHistory' },
  { key: 'parent_id', member: 'parentId', kind: 'text', flag: 'includeParentReferences' },
  { key: 'parent_type', member: 'parentType', kind: 'text', flag: 'includeParentReferences' },
  { key: 'parameters', member: 'parameters', kind: 'object' },
];

/**
 * One document: header, conversations, and a summary of what was really written.
 *
 * JSON columns of the database stay on one line each inside the indented document: laying them out anew would mean
 * parsing them, which costs digits of large numbers and memory, and changes nothing for a parser.
 */
export const json: Format = {
  summary: 'one document with a header and a summary, for programs',
  needsCount: true,
  fields: (content) => [
    ...HEAD,
    ...(content.includeFullContent ? (['turnTokens'] as const) : []),
    ...shownKeys(content).flatMap(({ member }) => (member === 'turns' ? [] : [member])),
  ],
  encoder: (options) => new JsonEncoder(options),
};

function shownKeys(content: ContentOptions): MetadataKey[] {
  if (!content.includeMetadata) return [];
  return METADATA.filter(({ flag }) => flag === undefined || content[flag]);
}

const COMMA = Buffer.from(',');
const EMPTY_LIST = Buffer.from('[]');

class JsonEncoder implements Encoder {
  readonly #options: EncodeOptions;
  readonly #layout: JsonLayout;
  readonly #fixed: Readonly<Record<FixedPart, Buffer>>;
  readonly #keys: readonly (MetadataKey & { prefix: Buffer })[];
  /** Everything of a turn before its content, by role: a handful in any database. */
  readonly #roles = new Map<string, Buffer>();
  readonly #summary = { turns: 0, score: new DecimalAverage(), tiers: new Map<string, number>() };
  #written = 0;
  #announced: number | null = null;

  constructor(options: EncodeOptions) {
    this.#options = options;
    this.#layout = jsonLayout(options.compact);
    this.#fixed = fixedParts(this.#layout);
    this.#keys = shownKeys(options).map((key, index) => ({
      ...key,
      prefix: Buffer.from(`${index === 0 ? '' : ','}${this.#layout.key(4, key.key)}`),
    }));
  }

  begin(out: ByteWriter, count: number | null): void {
    const { key } = this.#layout;
    this.#announced = count;
    const header =
      `{${key(1, 'version')}${JSON.stringify(VERSION)},${key(1, 'export_date')}` +
      `${JSON.stringify(this.#options.exportedAt)},${key(1, 'conversation_count')}${count},${key(1, 'conversations')}[`;
    out.bytes(Buffer.from(header));
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    const fixed = this.#fixed;
    if (this.#written++ > 0) out.bytes(COMMA);
    out.bytes(fixed.conversationId);
    out.jsonString(conversation.conversationId);
    for (const member of HEAD) {
      out.bytes(fixed[member]);
      writeJsonValue(out, conversation[member], 'text');
    }
    if (this.#options.includeFullContent) this.#writeTurns(conversation, out);
    if (this.#options.includeMetadata) {
      this.#writeMetadata(conversation, out);
      this.#summarise(conversation);
    }
    out.bytes(fixed.endConversation);
  }

  /** @throws LoraExportError `E_INCOMPLETE` when the header promised another number of conversations */
  end(out: ByteWriter): void {
    if (this.#announced !== this.#written) {
      throw new LoraExportError(
        'E_INCOMPLETE',
        `The header says ${this.#announced} conversations, but ${this.#written} were written.`,
      );
    }
    const { line } = this.#layout;
    out.bytes(Buffer.from(this.#written === 0 ? ']' : `${line(1)}]`));
    if (this.#options.includeMetadata) this.#writeSummary(out);
    out.bytes(Buffer.from(`${line(0)}}\n`));
  }

  #writeTurns({ turns, turnTokens }: Conversation, out: ByteWriter): void {
    const tokens = turnTokens === null ? [] : (JSON.parse(turnTokens.toString()) as readonly unknown[]);
    out.bytes(this.#fixed.turns);
    if (turns.length === 0) {
      out.bytes(EMPTY_LIST);
      return;
    }
    turns.forEach((turn, index) => {
      out.bytes(index === 0 ? this.#fixed.firstTurn : this.#fixed.nextTurn);
      out.bytes(this.#role(turn.role));
      writeJsonValue(out, turn.content, 'text');
      const count = tokens[index];
      if (typeof count === 'number' && count !== 0) {
        out.bytes(this.#fixed.tokenCount);
        out.bytes(Buffer.from(String(count)));
      }
      out.bytes(this.#fixed.endTurn);
    });
    out.bytes(this.#fixed.endTurns);
  }

  #role(role: string): Buffer {
    let prefix = this.#roles.get(role);
    if (prefix === undefined) {
      const { key } = this.#layout;
      prefix = Buffer.from(`${key(5, 'role')}${jsonString(role)},${key(5, 'content')}`);
      this.#roles.set(role, prefix);
    }
    return prefix;
  }

  #writeMetadata(conversation: Conversation, out: ByteWriter): void {
    out.bytes(this.#fixed.metadata);
    for (const { prefix, member, kind } of this.#keys) {
      const value = conversation[member];
      if (!(value instanceof Text || value === null)) {
        out.bytes(prefix);
        out.bytes(Buffer.from(String(value.length)));
      } else if (kind !== 'object' || (value !== null && !isEmptyObject(value))) {
        out.bytes(prefix);
        writeJsonValue(out, value, kind === 'object' || kind === 'turn count' ? 'json' : kind);
      }
    }
    out.bytes(this.#fixed.endMetadata);
  }

  #summarise(conversation: Conversation): void {
    const summary = this.#summary;
    summary.turns += conversation.turns.length;
    const score = this.#options.includeQualityScores ? conversation.qualityScore : null;
    if (score !== null) summary.score.add(score);
    const name = conversation.tier?.toString() ?? 'unknown';
    summary.tiers.set(name, (summary.tiers.get(name) ?? 0) + 1);
  }

  #writeSummary(out: ByteWriter): void {
    const { line, key } = this.#layout;
    const { turns, score, tiers } = this.#summary;
    const average = score.toJson();
    const start = `,${key(1, 'summary')}{${key(2, 'total_turns')}${turns}`;
    const middle = average === null ? '' : `,${key(2, 'average_quality_score')}${average}`;
    out.bytes(Buffer.from(`${start}${middle},${key(2, 'tier_distribution')}{`));
    let separator = '';
    for (const [tier, count] of tiers) {
      out.bytes(Buffer.from(`${separator}${line(3)}`));
      out.jsonString(Text.of(tier));
      out.bytes(Buffer.from(`:${this.#options.compact ? '' : ' '}${count}`));
      separator = ',';
    }
    out.bytes(Buffer.from(`${tiers.size === 0 ? '' : line(2)}}${line(1)}}`));
  }
}

type FixedPart =
  | 'conversationId'
  | (typeof HEAD)[number]
  | 'turns'
  | 'firstTurn'
  | 'nextTurn'
  | 'tokenCount'
  | 'endTurn'
  | 'endTurns'
  | 'metadata'
  | 'endMetadata'
  | 'endConversation';

/** What is the same in every conversation, made once. */
function fixedParts({ line, key }: JsonLayout): Record<FixedPart, Buffer> {
  return {
    conversationId: Buffer.from(`${line(2)}{${key(3, 'conversation_id')}`),
    title: Buffer.from(`,${key(3, 'title')}`),
    status: Buffer.from(`,${key(3, 'status')}`),
    tier: Buffer.from(`,${key(3, 'tier')}`),
    turns: Buffer.from(`,${key(3, 'turns')}`),
    firstTurn: Buffer.from(`[${line(4)}{`),
    nextTurn: Buffer.from(`,${line(4)}{`),
    tokenCount: Buffer.from(`,${key(5, 'token_count')}`),
    endTurn: Buffer.from(`${line(4)}}`),
    endTurns: Buffer.from(`${line(3)}]`),
    metadata: Buffer.from(`,${key(3, 'metadata')}{`),
    endMetadata: Buffer.from(`${line(3)}}`),
    endConversation: Buffer.from(`${line(2)}}`),
  };
}

/** Whether JSON text is `{}` or `null`, with whatever white space; long ones are not even decoded. */
function isEmptyObject(value: Text): boolean {
  return value.byteLength < 64 && /^\s*(\{\s*\}|null)\s*$/.test(value.toString());
}
