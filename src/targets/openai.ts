import { checkMessagesRow } from './messages-checks.js';
import type { MessagesRules } from './messages-rules.js';
import { writeMessagesRow } from './messages.js';
import { OPENAI_MARKS } from './reserved-text.js';
import { isObject, problems } from './row-checks.js';
import type { Report, Target } from './target.js';
import { SERVICE_NAME } from './tool-checks.js';

export { OPENAI_MARKS } from './reserved-text.js';

/** What OpenAI's published schema, its cookbook and its reported answers demand. */
export const OPENAI_RULES: MessagesRules = {
  reader: 'OpenAI',
  extraKeys: ['tools', 'parallel_tool_calls'],
  messageKeys: [
    'role',
    'content',
    'name',
    'weight',
    'tool_calls',
    'tool_call_id',
    'refusal',
    'audio',
    'function_call',
  ],
  roles: new Map([
    ['system', 'system'],
    ['user', 'user'],
    ['assistant', 'assistant'],
    ['tool', 'tool'],
    ['function', 'tool'],
  ]),
  tools: { id: /./, name: SERVICE_NAME, arguments: 'text', content: 'optional', schema: ['name'] },
  refusals: true,
  reserved: OPENAI_MARKS,
  verdicts: {
    'empty-content': 'warning',
    'starts-with-assistant': 'warning',
    'late-system': 'warning',
    'equal-neighbours': 'accepted',
    'equal-neighbours-with-call': 'accepted',
    'several-system': 'accepted',
    'extra-message-key': 'warning',
  },
  says: {
    'extra-key': (key) => `the service answers: Example … contains an extra ${key}`,
    'no-assistant': () => 'the service answers: At least one message must be from the assistant',
    'reserved-text': (mark) => `the service answers: message contains an invalid token: ${mark}`,
  },
};

/** Checks a row for OpenAI, or for a service that reads the same rows under another name. */
export function checkOpenaiRow(row: unknown, report: Report, rules: MessagesRules = OPENAI_RULES): void {
  checkMessagesRow(row, report, rules);
  if (!isObject(row)) return;
  const { parallel_tool_calls: parallel } = row;
  if (parallel === undefined || typeof parallel === 'boolean') return;
  const message = `${rules.reader} expects parallel_tool_calls to be true or false`;
  problems(report).error(
    'wrong-type',
    'parallel_tool_calls',
    message,
    'Write true or false, or remove the key.',
  );
}

/** OpenAI supervised fine-tuning. */
export const openai: Target = {
  summary: 'OpenAI chat fine-tuning',
  asOf: '2026-11',
  sources: [
    'openai/openai-openapi, openapi.yaml at 498c71d, FineTuneChatRequestInput',
    'developers.openai.com/api/docs/guides/supervised-fine-tuning',
    'openai/openai-cookbook, examples/Chat_finetuning_data_prep.ipynb',
    'johny-b/llmcomp#59 (extra keys)',
  ],
  shapes: {
    messages: {
      write: writeMessagesRow,
      check: (row, report) => checkOpenaiRow(row, report),
      texts: { keys: ['content'], marks: OPENAI_MARKS },
    },
  },
  checksFileName: true,
  limits: { minRows: 10, maxBytes: 512 * 1024 * 1024, maxTokens: 65_536 },
  tools: true,
  reserved: OPENAI_MARKS,
  policy: { 'reserved-text': 'skip' },
};
