import { checkMessagesRow } from './messages-checks.js';
import type { MessagesRules } from './messages-rules.js';
import { writeMessagesRow } from './messages.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { isObject, problems } from './row-checks.js';
import type { Report, Target } from './target.js';
import { SERVICE_NAME } from './tool-checks.js';

/** What the checker of the 1.5 client refuses, with the tools and the row's weight of the 2.x client. */
const RULES: MessagesRules = {
  reader: 'Together',
  extraKeys: ['tools', 'weight'],
  tools: { id: /./, name: SERVICE_NAME, arguments: 'text', content: 'optional', schema: ['name'] },
  parts: 'all-or-none',
  weight: 'any',
  reserved: TEMPLATE_MARKS,
  verdicts: {
    'empty-content': 'warning',
    'empty-answer': 'warning',
    'ends-with-user': 'warning',
    'late-system': 'warning',
    'reserved-text': 'warning',
  },
};

/** Together AI. */
export const together: Target = {
  summary: 'Together AI chat fine-tuning',
  asOf: '2026-11',
  sources: [
    'togethercomputer/together-python, src/together/utils/files.py and constants.py',
    'togethercomputer/together-py, src/together/lib/constants.py',
    'docs.together.ai/docs/fine-tuning/data-preparation',
  ],
  shapes: {
    messages: { write: writeMessagesRow, check, texts: { keys: ['content'], marks: TEMPLATE_MARKS } },
  },
  limits: { minRows: 1, maxBytes: 50 * 1024 ** 3 },
  tools: true,
  reserved: TEMPLATE_MARKS,
};

function check(row: unknown, report: Report): void {
  checkMessagesRow(row, report, RULES);
  if (!isObject(row)) return;
  const { weight } = row;
  if (weight === undefined || typeof weight === 'number') return;
  const message = 'Together expects the weight of a row, a factor of its loss, to be a number';
  problems(report).error('weight', 'weight', message, 'Write a number, or remove the key.');
}
