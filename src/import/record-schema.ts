import { z } from 'zod';
import { nearestWord } from '../nearest-word.js';

const text = z.string().nullish();
const count = z.int().nonnegative('must not be negative').nullish();
const object = z
  .custom<object>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  )
  .nullish();

/** Without a zone a time means something else on every server, and PostgreSQL would round what is finer than microseconds. */
const moment = z
  .string()
  .regex(
    /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)$/,
    'must be a time with its zone, to the microsecond at most, such as 2025-10-29T10:00:00.123456Z',
  )
  .nullish();

const fields = {
  id: z.guid('must be a UUID').nullish(),
  conversation_id: z.string().min(1, 'must not be empty').nullish(),
  title: text,
  conversation_name: text,
  description: text,
  category: z.union([z.array(z.string()), z.string()], { error: 'must be a list of texts' }).nullish(),
  status: text,
  quality_score: z.number().nullish(),
  quality_metrics: object,
  persona: text,
  emotion: text,
  topic: text,
  intent: text,
  tone: text,
  tier: text,
  parent_id: z.string().min(1, 'must not be empty').nullish(),
  parent_type: text,
  parameters: object,
  review_history: z.array(object.unwrap().unwrap()).nullish(),
  reviewer_notes: text,
  approved_by: text,
  approved_at: moment,
  created_by: text,
  created_at: moment,
  updated_at: moment,
  is_active: z.boolean().nullish(),
  file_path: text,
  turn_count: count,
  total_turns: count,
  total_tokens: count,
  token_count: count,
};

const turn = z.strictObject({
  role: z.string().min(1, 'must not be empty'),
  content: z.string().nullable(),
  turn_number: z.int().positive('must be 1 or more').optional(),
  token_count: count,
});

/** What one line may hold: the fields of a conversation, beside its turns or in `metadata`, and the turns. */
export const lineSchema = z.strictObject({
  ...fields,
  turns: z.array(turn).optional(),
  messages: z.array(turn).optional(),
  metadata: z.strictObject(fields).nullish(),
});

const fieldSchema = z.strictObject(fields);
/** The fields of a conversation; a key that the line lacks is absent, `null` is kept. */
export type ImportFields = z.infer<typeof fieldSchema>;
export type FieldName = keyof ImportFields;
export type ImportTurn = z.infer<typeof turn>;

export const FIELD_NAMES: readonly FieldName[] = fieldSchema.keyof().options;
const TURN_KEYS = Object.keys(turn.shape);
const LINE_KEYS = Object.keys(lineSchema.shape);

/** The known key that looks most like an unknown one found at `path`. */
export function nearestKey(unknown: string, path: readonly PropertyKey[]): string {
  const inTurn = path[0] === 'turns' || path[0] === 'messages';
  const known = inTurn ? TURN_KEYS : path.length === 0 ? LINE_KEYS : FIELD_NAMES;
  return nearestWord(unknown, known).word;
}
