import { checkMessagesRow } from './messages-checks.js';
import type { MessagesRules } from './messages-rules.js';
import { writeMessagesRow } from './messages.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import type { Target } from './target.js';
import { SERVICE_NAME } from './tool-checks.js';

const RULES: MessagesRules = {
  reader: 'Fireworks',
  extraKeys: ['tools'],
  tools: { id: /./, name: SERVICE_NAME, arguments: 'text', content: 'filled', schema: ['name'] },
  reserved: TEMPLATE_MARKS,
  verdicts: { 'extra-key': 'warning', 'several-system': 'accepted', 'reserved-text': 'warning' },
  says: { 'extra-key': (key) => `Fireworks is not documented to read the key ${key}` },
};

/**
 * Fireworks AI. Its check wants content in every message, also in one that only calls a tool, and no conversation has
 * any there: turns of tools are therefore not written, though files from elsewhere may have them.
 */
export const fireworks: Target = {
  summary: 'Fireworks AI chat fine-tuning',
  asOf: '2026-11',
  sources: ['docs.fireworks.ai/fine-tuning/fine-tuning-models', 'fw-ai/cookbook, choose-method.md'],
  shapes: {
    messages: {
      write: writeMessagesRow,
      check: (row, report) => checkMessagesRow(row, report, RULES),
      texts: { keys: ['content'], marks: TEMPLATE_MARKS },
    },
  },
  skipsBlankLines: true,
  limits: { minRows: 3, maxRows: 3_000_000 },
  reserved: TEMPLATE_MARKS,
};
