import { ByteWriter } from '../bytes/byte-writer.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import { Text } from '../bytes/text.js';
import type { Conversation, ConversationField } from '../conversation.js';
import type { ContentOptions, Encoder, Format } from './format.js';
import { writeFlat, writeFlatHeading, writeQuotation } from './markdown-text.js';

interface Bullet {
  readonly label: string;
  readonly member: ConversationField | 'conversationId';
  /** What to show of the value, null for nothing. Default: the text on one line. */
  readonly show?: (value: Text) => Text | null;
  /** The flag that shows it, besides `includeMetadata`. */
  readonly flag?: keyof ContentOptions;
}

/** The bullets of the original requirements (R70), then what further flags append. Absent values have no bullet. */
const BULLETS: readonly Bullet[] = [
  { label: 'ID', member: 'conversationId' },
  { label: 'Tier', member: 'tier' },
  {
    label: 'Quality Score',
    member: 'qualityScore',
    show: (score) => (isJsonNumber(score) ? score : null),
    flag: 'includeQualityScores',
  },
  { label: 'Created', member: 'createdAt', show: dateOf, flag: 'includeTimestamps' },
  { label: 'Parent ID', member: 'parentId', flag: 'includeParentReferences' },
  { label: 'Parent Type', member: 'parentType', flag: 'includeParentReferences' },
  { label: 'Review History', member: 'reviewHistory', flag: 'includeApprovalHistory' },
];

/**
 * Conversations to read: heading, metadata, and each turn as a quotation whose text cannot get out of it.
 *
 * Times are dates in UTC, never in a locale. See {@link writeQuotation} for how a parser gets the text of a turn back.
 */
export const markdown: Format = {
  summary: 'headings and quotations, for people',
  fields: (content) => [
    'title',
    ...shownBullets(content).flatMap(({ member }) => (member === 'conversationId' ? [] : [member])),
  ],
  encoder: (content) => new MarkdownEncoder(content),
};

function shownBullets(content: ContentOptions): Bullet[] {
  if (!content.includeMetadata) return [];
  return BULLETS.filter(({ flag }) => flag === undefined || content[flag]);
}

/** The day in UTC, `YYYY-MM-DD`; null for what ISO 8601 cannot express, which the checks have already counted. */
function dateOf(instant: Text): Text | null {
  return isIsoInstant(instant) ? Text.of(instant.toString().slice(0, 10)) : null;
}

const LABELS = new Map([
  ['user', 'User'],
  ['assistant', 'Assistant'],
  ['system', 'System'],
]);

const HEADING = Buffer.from('# Conversation: ');
const NEXT_HEADING = Buffer.from('\n---\n\n# Conversation: ');
const UNTITLED = Buffer.from('Untitled');
const METADATA = Buffer.from('\n\n**Metadata:**\n\n');
const TURNS = Buffer.from('\n## Conversation\n');
const NEWLINE = Buffer.from('\n');
const LINE_FEED = 0x0a;
const NOTHING = Text.of('');

class MarkdownEncoder implements Encoder {
  readonly #bullets: readonly (Bullet & { prefix: Buffer })[];
  readonly #includeFullContent: boolean;
  /** The line that says who speaks, by role: a handful in any database. */
  readonly #speakers = new Map<string, Buffer>();
  #isFirst = true;

  constructor(content: ContentOptions) {
    this.#bullets = shownBullets(content).map((bullet) => ({
      ...bullet,
      prefix: Buffer.from(`- ${bullet.label}: `),
    }));
    this.#includeFullContent = content.includeFullContent;
  }

  begin(): void {
    // The document starts with its first conversation.
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    out.bytes(this.#isFirst ? HEADING : NEXT_HEADING);
    this.#isFirst = false;
    const before = out.length;
    writeFlatHeading(out, conversation.title ?? NOTHING);
    if (out.length === before) out.bytes(UNTITLED);
    this.#writeBullets(conversation, out);
    if (!this.#includeFullContent) return;
    out.bytes(TURNS);
    for (const { role, content } of conversation.turns) {
      out.bytes(this.#speaker(role));
      writeQuotation(out, content ?? NOTHING);
    }
  }

  end(): void {
    // Every block already ends with its newline.
  }

  #writeBullets(conversation: Conversation, out: ByteWriter): void {
    out.bytes(this.#bullets.length === 0 ? NEWLINE : METADATA);
    for (const { prefix, member, show } of this.#bullets) {
      const value = conversation[member];
      const shown = value === null || show === undefined ? value : show(value);
      if (shown === null) continue;
      out.bytes(prefix);
      if (show === undefined) writeFlat(out, shown);
      else out.text(shown);
      out.byte(LINE_FEED);
    }
  }

  #speaker(role: string): Buffer {
    let line = this.#speakers.get(role);
    if (line === undefined) {
      const label = new ByteWriter();
      writeFlat(label, Text.of(LABELS.get(role) ?? role));
      line = Buffer.from(`\n**${label.view().toString('utf8')}:**\n\n`);
      this.#speakers.set(role, line);
    }
    return line;
  }
}
