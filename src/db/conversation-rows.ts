import { Text } from '../bytes/text.js';
import type { Conversation, ConversationField, Turn } from '../conversation.js';
import { LoraExportError } from '../errors.js';
import { parseArrayText } from './array-text.js';
import type { RawRow } from './row-tap.js';

/** The columns of the turns, which come last: their numbers, lengths in bytes and roles as arrays, and all they say. */
const TURN_COLUMNS = 4;
const NOTHING = new Text(Buffer.alloc(0));

/** Distinct texts of arrays of numbers and roles that are kept parsed: most conversations share a few dozen. */
const MOST_KNOWN = 1_000;

/**
 * Makes conversations of rows whose columns are the primary key, the business key, one per field in the order given, and
 * those of the turns. No text is copied or decoded.
 */
export function rowMapper(fields: readonly ConversationField[]): (row: RawRow) => Conversation {
  const count = 2 + fields.length + TURN_COLUMNS;
  const place = (field: ConversationField): number => {
    const index = fields.indexOf(field);
    // What was not asked for is looked up behind the last column, where there is nothing.
    return index < 0 ? count : 2 + index;
  };
  const [title, status, tier] = [place('title'), place('status'), place('tier')];
  const [persona, emotion, topic] = [place('persona'), place('emotion'), place('topic')];
  const [qualityScore, totalTurns, totalTokens] = [
    place('qualityScore'),
    place('totalTurns'),
    place('totalTokens'),
  ];
  const [parentId, parentType] = [place('parentId'), place('parentType')];
  const [createdAt, updatedAt] = [place('createdAt'), place('updatedAt')];
  const [category, parameters, reviewHistory] = [
    place('category'),
    place('parameters'),
    place('reviewHistory'),
  ];
  const turnTokens = place('turnTokens');
  const turnsOf = turnsParser(count - TURN_COLUMNS);
  return (row) => {
    const columns = splitRow(row, count);
    const [id, businessKey] = columns as [Text, Text | null];
    const textAt = (index: number): Text | null => columns[index] ?? null;
    return {
      id: id.toString(),
      conversationId: businessKey ?? id,
      title: textAt(title),
      status: textAt(status),
      tier: textAt(tier),
      persona: textAt(persona),
      emotion: textAt(emotion),
      topic: textAt(topic),
      qualityScore: textAt(qualityScore),
      totalTurns: textAt(totalTurns),
      totalTokens: textAt(totalTokens),
      parentId: textAt(parentId),
      parentType: textAt(parentType),
      createdAt: textAt(createdAt),
      updatedAt: textAt(updatedAt),
      category: textAt(category),
      parameters: textAt(parameters),
      reviewHistory: textAt(reviewHistory),
      turnTokens: textAt(turnTokens),
      turns: turnsOf(columns),
    };
  };
}

/** Each column is its length in four bytes, -1 for NULL, and its bytes. */
function splitRow({ bytes, start }: RawRow, count: number): (Text | null)[] {
  const columns: (Text | null)[] = [];
  let position = start;
  for (let index = 0; index < count; index++) {
    const length = bytes.readInt32BE(position);
    position += 4;
    if (length < 0) {
      columns.push(null);
    } else {
      columns.push(new Text(bytes, position, position + length));
      position += length;
    }
  }
  return columns;
}

function turnsParser(place: number): (columns: readonly (Text | null)[]) => Turn[] {
  const known = new Map<string, readonly (string | null)[]>();
  const parse = (array: Text): readonly (string | null)[] => {
    const printed = array.toString();
    let elements = known.get(printed);
    if (elements === undefined) {
      elements = parseArrayText(printed);
      if (known.size < MOST_KNOWN) known.set(printed, elements);
    }
    return elements;
  };
  return (columns) => {
    const [numbers, lengths, roles, contents] = columns.slice(place);
    // Aggregates over no rows are NULL.
    if (!numbers || !lengths || !roles) return [];
    const { source, start, end } = contents ?? NOTHING;
    const turnNumbers = parse(numbers);
    const turnRoles = parse(roles);
    let position = start;
    const turns = parseLengths(lengths).map((length, index) => {
      const from = position;
      position += Math.max(length, 0);
      return {
        number: Number(turnNumbers[index]),
        role: turnRoles[index] ?? '',
        content: length < 0 ? null : new Text(source, from, position),
      };
    });
    if (position !== end) {
      throw new LoraExportError(
        'E_INTERNAL',
        `The turns of conversation ${String(columns[0])} do not add up: ${position - start} bytes announced, ${end - start} delivered.`,
      );
    }
    return turns;
  };
}

/** `{12,NULL,5}` as numbers, -1 for NULL. */
function parseLengths({ source, start, end }: Text): number[] {
  const lengths: number[] = [];
  let value = 0;
  for (let index = start + 1; index < end; index++) {
    const byte = source[index] as number;
    if (byte >= 0x30 && byte <= 0x39) {
      value = value * 10 + byte - 0x30;
    } else if (byte === 0x4e /* N */) {
      value = -1;
    } else if (byte === 0x2c /* , */ || byte === 0x7d /* } */) {
      lengths.push(value);
      value = 0;
    }
  }
  return lengths;
}
