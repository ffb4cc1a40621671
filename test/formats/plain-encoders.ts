import { stringify } from 'csv-stringify/sync';

import type { Conversation, ConversationField } from '../../src/conversation.js';
import { guardFormula, looksLikeFormula } from '../../src/formats/csv-formulas.js';
import { STRINGIFY } from '../../src/formats/csv-options.js';
import type { EncodeOptions } from '../../src/formats/format.js';
import type { FormatName } from '../../src/formats/index.js';
import { flattenHeading, flattenText, quoteText } from './plain-markdown.js';

/**
 * Every format once more, in the plainest way: strings, objects, `JSON.stringify`, csv-stringify. The encoders of the
 * product must give the same bytes.
 */
export const PLAIN: Record<
  FormatName,
  (conversations: readonly Conversation[], options: EncodeOptions) => string
> = {
  jsonl: (conversations, options) => conversations.map((one) => `${line(one, options)}\n`).join(''),
  json: jsonDocument,
  csv: (conversations, options) => csvDocument(conversations, options).text,
  markdown: (conversations, options) =>
    conversations.map((one) => markdownOf(one, options)).join('\n---\n\n'),
};

type Member = ConversationField | 'conversationId';
type Value = string | number | null | Raw | readonly Value[] | { readonly [key: string]: Value };

/** JSON text that goes into a document as it is. */
class Raw {
  constructor(readonly json: string) {}
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function text(conversation: Conversation, member: Member): string | null {
  return conversation[member]?.toString() ?? null;
}

function number(conversation: Conversation, member: Member): Raw | null {
  const value = text(conversation, member);
  return value !== null && NUMBER.test(value) ? new Raw(value) : null;
}

function instant(conversation: Conversation, member: Member): string | null {
  const value = text(conversation, member);
  return value?.endsWith('Z') ? value : null;
}

function stored(conversation: Conversation, member: Member): Raw | null {
  const value = text(conversation, member);
  return value === null ? null : new Raw(onOneLine(value));
}

function onOneLine(json: string): string {
  const half = /\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u[dD][89a-fA-F]..|\\./g;
  return escapeSeparators(
    json
      .replace(/[^\u0020-\u{10ffff}]/gu, ' ')
      .replace(half, (escape) => (/^\\u[dD][89a-fA-F]..$/.test(escape) ? '\\ufffd' : escape)),
  );
}

function escapeSeparators(json: string): string {
  return json.replace(
    /[\u0085\u2028\u2029]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `JSON.stringify`, with raw parts put in place of strings that occur nowhere else. */
function toJson(value: Value, indent: number): string {
  const raw: string[] = [];
  const json = JSON.stringify(
    value,
    (_key, value: unknown) => (value instanceof Raw ? `\ue000raw ${raw.push(value.json) - 1}\ue000` : value),
    indent,
  );
  return escapeSeparators(json).replace(
    /"\ue000raw (\d+)\ue000"/g,
    (_, index: string) => raw[Number(index)] ?? '',
  );
}

function line(conversation: Conversation, options: EncodeOptions): string {
  const messages = conversation.turns.map(({ role, content }) => ({
    role,
    content: content?.toString() ?? null,
  }));
  if (!options.includeMetadata) return toJson({ messages }, 0);
  const metadata = {
    conversation_id: text(conversation, 'conversationId'),
    title: text(conversation, 'title'),
    tier: text(conversation, 'tier'),
    ...(options.includeQualityScores && { quality_score: number(conversation, 'qualityScore') }),
    ...(options.includeTimestamps && {
      created_at: instant(conversation, 'createdAt'),
      updated_at: instant(conversation, 'updatedAt'),
    }),
    ...(options.includeApprovalHistory && { review_history: stored(conversation, 'reviewHistory') }),
    ...(options.includeParentReferences && {
      parent_id: text(conversation, 'parentId'),
      parent_type: text(conversation, 'parentType'),
    }),
    persona: text(conversation, 'persona'),
    emotion: text(conversation, 'emotion'),
    topic: text(conversation, 'topic'),
  };
  return toJson({ messages, metadata }, 0);
}

function jsonDocument(conversations: readonly Conversation[], options: EncodeOptions): string {
  const document = {
    version: '1.0',
    export_date: options.exportedAt,
    conversation_count: conversations.length,
    conversations: conversations.map((one) => jsonConversation(one, options)),
    ...(options.includeMetadata && { summary: summary(conversations, options) }),
  };
  return `${toJson(document, options.compact ? 0 : 2)}\n`;
}

function jsonConversation(conversation: Conversation, options: EncodeOptions): Value {
  const tokens = JSON.parse(text(conversation, 'turnTokens') ?? '[]') as unknown[];
  const parameters = text(conversation, 'parameters');
  return {
    conversation_id: text(conversation, 'conversationId'),
    title: text(conversation, 'title'),
    status: text(conversation, 'status'),
    tier: text(conversation, 'tier'),
    ...(options.includeFullContent && {
      turns: conversation.turns.map(({ role, content }, index) => ({
        role,
        content: content?.toString() ?? null,
        ...(typeof tokens[index] === 'number' && tokens[index] !== 0 && { token_count: tokens[index] }),
      })),
    }),
    ...(options.includeMetadata && {
      metadata: {
        persona: text(conversation, 'persona'),
        emotion: text(conversation, 'emotion'),
        topic: text(conversation, 'topic'),
        category: stored(conversation, 'category'),
        total_turns: conversation.turns.length,
        token_count: number(conversation, 'totalTokens'),
        ...(options.includeQualityScores && { quality_score: number(conversation, 'qualityScore') }),
        ...(options.includeTimestamps && {
          created_at: instant(conversation, 'createdAt'),
          updated_at: instant(conversation, 'updatedAt'),
        }),
        ...(options.includeApprovalHistory && { review_history: stored(conversation, 'reviewHistory') }),
        ...(options.includeParentReferences && {
          parent_id: text(conversation, 'parentId'),
          parent_type: text(conversation, 'parentType'),
        }),
        ...(parameters !== null &&
          !/^\s*(\{\s*\}|null)\s*$/.test(parameters) && { parameters: stored(conversation, 'parameters') }),
      },
    }),
  };
}

function summary(conversations: readonly Conversation[], options: EncodeOptions): Value {
  const scores = conversations
    .map((one) => text(one, 'qualityScore') ?? '')
    .filter((score) => options.includeQualityScores && NUMBER.test(score))
    .map((score) => Math.round(Number(score) * 1_000));
  const sum = scores.reduce((total, score) => total + score, 0);
  // Halves are rounded away from zero.
  const hundredths = Math.floor((Math.abs(sum) * 2 + 10 * scores.length) / (20 * scores.length));
  const tiers = new Map<string, number>();
  for (const one of conversations) {
    const tier = text(one, 'tier') ?? 'unknown';
    tiers.set(tier, (tiers.get(tier) ?? 0) + 1);
  }
  return {
    total_turns: conversations.reduce((total, { turns }) => total + turns.length, 0),
    ...(scores.length > 0 && { average_quality_score: (Math.sign(sum) * hundredths) / 100 + 0 }),
    tier_distribution: Object.fromEntries(tiers),
  };
}

/** CSV as csv-stringify writes it, and what is counted of its cells. */
export function csvDocument(
  conversations: readonly Conversation[],
  options: EncodeOptions,
): { text: string; guarded: number; long: number } {
  const guard = (value: string | null): string | null =>
    value === null || options.rawCells ? value : guardFormula(value);
  const header = [
    'conversation_id',
    'title',
    'status',
    'tier',
    ...(options.includeFullContent ? ['turn_number', 'role', 'content'] : []),
    ...(options.includeQualityScores ? ['quality_score'] : []),
    ...(options.includeMetadata ? ['persona', 'emotion', 'topic'] : []),
    ...(options.includeTimestamps ? ['created_at'] : []),
    ...(options.includeParentReferences ? ['parent_id', 'parent_type'] : []),
    ...(options.includeApprovalHistory ? ['review_history'] : []),
  ];
  const rows = conversations.flatMap((one) => {
    const turns = options.includeFullContent ? one.turns : [null];
    return turns.map((turn) => [
      guard(text(one, 'conversationId')),
      guard(text(one, 'title')),
      guard(text(one, 'status')),
      guard(text(one, 'tier')),
      ...(turn === null
        ? []
        : [String(turn.number), guard(turn.role), guard(turn.content?.toString() ?? null)]),
      ...(options.includeQualityScores ? [number(one, 'qualityScore')?.json ?? null] : []),
      ...(options.includeMetadata
        ? [guard(text(one, 'persona')), guard(text(one, 'emotion')), guard(text(one, 'topic'))]
        : []),
      ...(options.includeTimestamps ? [instant(one, 'createdAt')] : []),
      ...(options.includeParentReferences
        ? [guard(text(one, 'parentId')), guard(text(one, 'parentType'))]
        : []),
      ...(options.includeApprovalHistory ? [guard(stored(one, 'reviewHistory')?.json ?? null)] : []),
    ]);
  });
  const cells = rows.flat();
  return {
    text: `${options.bom ? '\ufeff' : ''}${header.join(',')}\n${stringify(rows, STRINGIFY)}`,
    guarded: cells.filter((cell) => !options.rawCells && cell?.startsWith("'") && looksLikeFormula(cell))
      .length,
    long: cells.filter((cell) => cell !== null && cell.length > 32_767).length,
  };
}

function markdownOf(conversation: Conversation, options: EncodeOptions): string {
  const title = flattenHeading(text(conversation, 'title') ?? '');
  const bullet = (label: string, value: string | null): string =>
    value === null ? '' : `- ${label}: ${value}\n`;
  const flat = (member: Member): string | null => {
    const value = text(conversation, member);
    return value === null ? null : flattenText(value);
  };
  const bullets = [
    bullet('ID', flat('conversationId')),
    bullet('Tier', flat('tier')),
    options.includeQualityScores
      ? bullet('Quality Score', number(conversation, 'qualityScore')?.json ?? null)
      : '',
    options.includeTimestamps
      ? bullet('Created', instant(conversation, 'createdAt')?.slice(0, 10) ?? null)
      : '',
    options.includeParentReferences ? bullet('Parent ID', flat('parentId')) : '',
    options.includeParentReferences ? bullet('Parent Type', flat('parentType')) : '',
    options.includeApprovalHistory ? bullet('Review History', flat('reviewHistory')) : '',
  ];
  const labels: Record<string, string> = { user: 'User', assistant: 'Assistant', system: 'System' };
  const turns = conversation.turns.map(({ role, content }) => {
    const label = Object.hasOwn(labels, role) ? labels[role] : flattenText(role);
    return `\n**${label}:**\n\n${quoteText(content?.toString() ?? '')}`;
  });
  return (
    `# Conversation: ${title === '' ? 'Untitled' : title}\n` +
    (options.includeMetadata ? `\n**Metadata:**\n\n${bullets.join('')}` : '') +
    (options.includeFullContent ? `\n## Conversation\n${turns.join('')}` : '')
  );
}
