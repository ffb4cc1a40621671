/** What every other design selects: the conversations of scope approved, with the members of our JSONL. */
const iso = (column) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

export const conversations = `
  select c.id, c.conversation_id, c.title, c.tier, c.quality_score::float8 as quality_score,
    ${iso('c.created_at')} as created_at, ${iso('c.updated_at')} as updated_at, c.persona, c.emotion, c.topic
  from conversations c
  where c.status = 'approved' and c.is_active is not false
  order by c.created_at, c.id`;

export const withMessages = `
  select c.*, t.messages
  from (${conversations}) c cross join lateral (
    select json_agg(json_build_object('role', role, 'content', content) order by turn_number) as messages
    from conversation_turns where conversation_id = c.id) t
  order by c.created_at, c.id`;

/** A row and its turns as a line. */
export function lineOf({ id: _id, messages, ...metadata }) {
  return `${JSON.stringify({ messages, metadata })}\n`;
}
