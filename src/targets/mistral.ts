import { checkMessagesRow } from './messages-checks.js';
import type { MessagesRules } from './messages-rules.js';
import { writeMessagesRow } from './messages.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import type { Target } from './target.js';
import { SERVICE_NAME } from './tool-checks.js';

const RULES: MessagesRules = {
  reader: 'Mistral',
  listKeys: ['messages', 'interactions'],
  textKeys: ['content', 'text'],
  extraKeys: ['tools'],
  messageKeys: ['role', 'content', 'text', 'weight', 'tool_calls', 'tool_call_id', 'prefix'],
  tools: {
    id: /^[A-Za-z0-9]{9}$/,
    name: SERVICE_NAME,
    arguments: 'text',
    content: 'empty',
    schema: ['name', 'description', 'parameters'],
  },
  parts: 'refused',
  reserved: TEMPLATE_MARKS,
  verdicts: {
    'extra-key': 'accepted',
    'extra-message-key': 'warning',
    'empty-content': 'warning',
    'starts-with-assistant': 'warning',
    'equal-neighbours': 'warning',
    'late-system': 'warning',
    'second-late-system': 'error',
    'unanswered-call': 'error',
    'reserved-text': 'warning',
  },
  says: {
    'extra-message-key': (key) => `Mistral's present message models forbid the key ${key}`,
    'equal-neighbours': (role) =>
      `chat templates of older Mistral models refuse two messages in a row from the ${role}`,
  },
};

/** `mistral-finetune`, and the chat templates of Mistral's models. */
export const mistral: Target = {
  summary: 'mistral-finetune and Mistral',
  asOf: '2026-11',
  sources: [
    'mistralai/mistral-finetune, finetune/data/tokenize.py and utils/validate_data.py',
    'mistralai/mistral-common, protocol/instruct/validator.py',
  ],
  shapes: {
    messages: {
      write: writeMessagesRow,
      check: (row, report) => checkMessagesRow(row, report, RULES),
      texts: { keys: ['content'], marks: TEMPLATE_MARKS },
    },
  },
  limits: { maxBytes: 512 * 1024 * 1024 },
  tools: true,
  reserved: TEMPLATE_MARKS,
};
