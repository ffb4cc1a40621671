import { Text } from '../../src/bytes/text.js';
import type { Conversation, ConversationField, Turn } from '../../src/conversation.js';

/** A turn that the short form `role: content` cannot express. */
export interface TurnParts {
  /** Default: its place in the conversation, counted from 1. */
  number?: number;
  role: string;
  content: string | null;
}

export type ConversationParts = Partial<Record<ConversationField, string | null>> & {
  id?: string;
  conversationId?: string;
  /** Default: one question and one answer. */
  turns?: readonly (string | TurnParts)[];
};

/**
 * A conversation without flaws; members that are not given are null.
 * @param view how texts are made. Default: each in a buffer of its own
 */
export function aConversation(
  parts: ConversationParts = {},
  view: (value: string) => Text = (value) => Text.of(value),
): Conversation {
  const { turns = ['user: hi', 'assistant: hello'] } = parts;
  const field = (name: ConversationField): Text | null => {
    const value = parts[name];
    return value === undefined || value === null ? null : view(value);
  };
  return {
    id: parts.id ?? '00000000-0000-4000-8000-000000000001',
    conversationId: view(parts.conversationId ?? 'conversation-1'),
    title: field('title'),
    status: field('status'),
    tier: field('tier'),
    persona: field('persona'),
    emotion: field('emotion'),
    topic: field('topic'),
    qualityScore: field('qualityScore'),
    totalTurns: field('totalTurns'),
    totalTokens: field('totalTokens'),
    parentId: field('parentId'),
    parentType: field('parentType'),
    createdAt: field('createdAt'),
    updatedAt: field('updatedAt'),
    category: field('category'),
    parameters: field('parameters'),
    reviewHistory: field('reviewHistory'),
    turnTokens: field('turnTokens'),
    turns: turns.map((turn, index) => aTurn(turn, index + 1, view)),
  };
}

function aTurn(turn: string | TurnParts, place: number, view: (value: string) => Text): Turn {
  if (typeof turn !== 'string') {
    const { number = place, role, content } = turn;
    return { number, role, content: content === null ? null : view(content) };
  }
  const colon = turn.indexOf(': ');
  return { number: place, role: turn.slice(0, colon), content: view(turn.slice(colon + 2)) };
}

/**
 * Lays texts into one buffer, at odd offsets, as rows of the database do. What stands around them would change the
 * answer of anything that reads outside of its text: quotes, spaces, digits, backslashes, the end of an ISO time.
 */
export function viewsIntoOneBuffer(capacity = 64 * 1024): (value: string) => Text {
  const source = Buffer.alloc(capacity, '\\Z8 ""');
  let used = 0;
  return (value) => {
    const start = (used + 3) | 1;
    const length = source.write(value, start, 'utf8');
    if (length !== Buffer.byteLength(value)) throw new RangeError('The shared buffer is too small.');
    used = start + length;
    return new Text(source, start, used);
  };
}

/** A value for every member, none of them equal to another. */
export const FULL: Required<ConversationParts> = {
  id: '00000000-0000-4000-8000-00000000000f',
  conversationId: 'conversation-full',
  title: 'A title',
  status: 'approved',
  tier: 'template',
  persona: 'A persona',
  emotion: 'An emotion',
  topic: 'A topic',
  qualityScore: '8.5',
  totalTurns: '3',
  totalTokens: '512',
  parentId: 'parent-1',
  parentType: 'scenario',
  createdAt: '2025-10-29T10:00:00.000Z',
  updatedAt: '2025-10-30T11:12:13.456Z',
  category: '["one","two"]',
  parameters: '{"temperature":0.7}',
  reviewHistory: '[{"action":"approved","by":"ann"}]',
  turnTokens: '[3,6,5]',
  turns: ['system: Be kind.', 'user: What is a bond?', 'assistant: A loan to an issuer.'],
};

/** Texts that break careless writers and readers. */
export const HOSTILE_TEXTS: readonly string[] = [
  '"',
  '\\',
  '\\"',
  '\\u0041 \\ud800 \\\\',
  'a\nb\r\nc\rd\te\bf\fg\vh',
  '\u0000\u0001\u001f\u007f',
  '\u0085\u2028\u2029',
  'â\u0080 \u00c2\u0085 \u2027\u202a',
  '\ufeffbyte order mark',
  'non-characters \uffff \ufffe \u{1ffff}',
  'astral \u{1f469}\u200d\u{1f4bb} \u{10ffff}',
  'right \u202e to left \u2066',
  '</script><!-- ]]>',
  '=1+1;@x,"y"',
  '```\n~~~\n# heading\n---',
  '"}]}\n{"messages":[]}',
  '\u001b]52;c;AAAA\u0007',
];
