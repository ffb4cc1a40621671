import type { ConversationField } from '../conversation.js';
import type { Source } from './source.js';

/**
 * The expression that yields a member of a conversation as text, or null where the table has no such column.
 * Expressions use alias `c` and are made of fixed text only, never of a name that came from outside.
 */
export function expressionOf(source: Source, field: ConversationField | 'conversationId'): string | null {
  const has = (column: string): boolean => source.conversations.has(column);
  const firstOf = (...columns: string[]): string | null => {
    const column = columns.find(has);
    return column === undefined ? null : `c.${column}::text`;
  };
  switch (field) {
    case 'conversationId':
      return firstOf('conversation_id', 'id');
    case 'title':
      if (has('title') && has('conversation_name')) return 'coalesce(c.title, c.conversation_name)::text';
      return firstOf('title', 'conversation_name');
    case 'persona':
      return labelOf(source, 'persona');
    case 'emotion':
      return labelOf(source, has('emotion') ? 'emotion' : 'emotional_arc');
    case 'topic':
      return labelOf(source, has('topic') ? 'topic' : 'training_topic');
    case 'status':
    case 'tier':
      return firstOf(field);
    case 'qualityScore':
      return firstOf('quality_score');
    case 'totalTurns':
      return firstOf('turn_count', 'total_turns');
    case 'totalTokens':
      return firstOf('total_tokens', 'token_count');
    case 'parentId':
      return firstOf('parent_id');
    case 'parentType':
      return firstOf('parent_type');
    case 'createdAt':
      return instantOf(source, 'created_at');
    case 'updatedAt':
      return instantOf(source, 'updated_at');
    case 'category':
      return arrayOf(source, 'category');
    case 'parameters':
      return jsonOf(source, 'parameters');
    case 'reviewHistory':
      return jsonOf(source, 'review_history');
    case 'turnTokens':
      // Of the aggregates over the turns, which are joined as `turns`; not a column of `c`.
      return source.turns.has('token_count') ? 'turns.tokens' : null;
  }
}

/** Text, or the name-like member of a JSON object. */
function labelOf({ conversations }: Source, column: string): string | null {
  const type = conversations.get(column);
  if (type === undefined) return null;
  if (type !== 'jsonb' && type !== 'json') return `c.${column}::text`;
  const members = ['name', 'label', 'title', 'key'].map((member) => `c.${column} ->> '${member}'`);
  return `coalesce(${members.join(', ')}, case when json_typeof(c.${column}::json) = 'string' then c.${column} #>> '{}' end)`;
}

/**
 * ISO 8601 in UTC with milliseconds, always of one width: the session's time zone is UTC. Infinite times and years
 * that ISO 8601 cannot hold stay as PostgreSQL prints them; the checks find them by that.
 */
function instantOf({ conversations }: Source, column: string): string | null {
  if (!conversations.has(column)) return null;
  return (
    `case when c.${column} >= '0001-01-01' and c.${column} < '10000-01-01' ` +
    `then to_char(c.${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') else c.${column}::text end`
  );
}

function arrayOf({ conversations }: Source, column: string): string | null {
  const type = conversations.get(column);
  if (type === undefined) return null;
  if (type.endsWith('[]')) return `to_json(c.${column})::text`;
  if (type === 'jsonb' || type === 'json') return `c.${column}::text`;
  return `case when c.${column} is not null then json_build_array(c.${column})::text end`;
}

function jsonOf({ conversations }: Source, column: string): string | null {
  const type = conversations.get(column);
  if (type === undefined) return null;
  return type === 'jsonb' || type === 'json' ? `c.${column}::text` : `to_json(c.${column})::text`;
}
