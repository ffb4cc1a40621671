import { writeMessagesRow } from './messages.js';
import { checkOpenaiRow, OPENAI_RULES } from './openai.js';
import { OPENAI_MARKS } from './reserved-text.js';
import type { Target } from './target.js';

const RULES = { ...OPENAI_RULES, reader: 'Azure OpenAI' };

/** Azure OpenAI (Foundry): OpenAI's rows behind a byte order mark. */
export const azure: Target = {
  summary: 'Azure OpenAI (Foundry), with a byte order mark',
  asOf: '2026-11',
  sources: [
    'learn.microsoft.com/azure/ai-services/openai/how-to/fine-tuning (2024 and 2025)',
    'learn.microsoft.com/azure/foundry/openai/how-to/fine-tuning (2026)',
    'openai/openai-openapi, openapi.yaml at 498c71d, FineTuneChatRequestInput',
  ],
  shapes: {
    messages: {
      write: writeMessagesRow,
      check: (row, report) => checkOpenaiRow(row, report, RULES),
      texts: { keys: ['content'], marks: OPENAI_MARKS },
    },
  },
  // "Less than 512 MB".
  limits: { minRows: 10, maxBytes: 512 * 1024 * 1024 - 1 },
  bom: true,
  tools: true,
  reserved: OPENAI_MARKS,
  policy: { 'reserved-text': 'skip' },
  advice: () =>
    'The file starts with a byte order mark, which Azure asks for and OpenAI, Together, Fireworks and Mistral refuse.',
};
