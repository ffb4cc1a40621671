import type { ByteWriter } from '../bytes/byte-writer.js';
import { isIsoInstant, isJsonNumber } from '../bytes/scalars.js';
import type { Text } from '../bytes/text.js';
import type { Conversation, ConversationField } from '../conversation.js';
import type { ContentOptions, Encoder, Format } from './format.js';
import { flattenHeading, flattenText, quoteText } from './markdown-text.js';

interface Bullet {
  readonly label: string;
  readonly member: ConversationField | 'conversationId';
  /** What to show of the value, null for nothing. Default: the text on one line. */
  readonly show?: (value: Text) => string | null;
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
    show: (score) => (isJsonNumber(score) ? score.toString() : null),
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
 * Times are dates in UTC, never in a locale. See {@link quoteText} for how a parser gets the text of a turn back.
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
function dateOf(instant: Text): string | null {
  return isIsoInstant(instant) ? instant.toString().slice(0, 10) : null;
}

const LABELS = new Map([
  ['user', 'User'],
  ['assistant', 'Assistant'],
  ['system', 'System'],
]);

class MarkdownEncoder implements Encoder {
  readonly #bullets: readonly Bullet[];
  readonly #includeFullContent: boolean;
  #isFirst = true;

  constructor(content: ContentOptions) {
    this.#bullets = shownBullets(content);
    this.#includeFullContent = content.includeFullContent;
  }

  begin(): void {
    // The document starts with its first conversation.
  }

  conversation(conversation: Conversation, out: ByteWriter): void {
    const write = (text: string): void => out.bytes(Buffer.from(text));
    const title = flattenHeading(conversation.title?.toString() ?? '');
    write(`${this.#isFirst ? '' : '\n---\n\n'}# Conversation: ${title === '' ? 'Untitled' : title}\n`);
    this.#isFirst = false;
    const bullets = this.#bullets.flatMap(({ label, member, show }) => {
      const value = conversation[member];
      const shown = value === null ? null : show ? show(value) : flattenText(value.toString());
      return shown === null ? [] : [`- ${label}: ${shown}\n`];
    });
    if (bullets.length > 0) write(`\n**Metadata:**\n\n${bullets.join('')}`);
    if (!this.#includeFullContent) return;
    write('\n## Conversation\n');
    for (const { role, content } of conversation.turns) {
      write(`\n**${LABELS.get(role) ?? flattenText(role)}:**\n\n`);
      write(quoteText(content?.toString() ?? ''));
    }
  }

  end(): void {
    // Every block already ends with its newline.
  }
}
