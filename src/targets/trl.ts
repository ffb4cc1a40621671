import type { ByteWriter } from '../bytes/byte-writer.js';
import { splitAtLastAnswer } from './last-answer.js';
import { checkMessages, checkMessagesRow } from './messages-checks.js';
import { teller, type MessagesRules } from './messages-rules.js';
import { checkOrder } from './order-checks.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { isObject } from './row-checks.js';
import type { Example, Report, Target } from './target.js';
import { checkSchemas } from './tool-checks.js';
import { writeTrlMessages, writeTrlTools } from './trl-messages.js';
import { trlPreference } from './trl-preference.js';

const MESSAGES = Buffer.from('{"messages":[');
const PROMPT = Buffer.from('{"prompt":[');
const COMPLETION = Buffer.from('],"completion":[');
const CLOSE = Buffer.from(']');
const END = Buffer.from('}\n');

/** What the trainer and the strictest chat templates demand of a list of messages. */
export const TRL_RULES: MessagesRules = {
  reader: 'TRL',
  tools: {
    id: null,
    name: /./,
    arguments: 'object',
    content: 'present',
    schema: ['name'],
    schemasAsText: true,
  },
  weight: 'unread',
  reserved: TEMPLATE_MARKS,
  verdicts: {
    // Other columns are left alone.
    'extra-key': 'accepted',
    'empty-content': 'warning',
    'empty-answer': 'warning',
    weight: 'warning',
    'reserved-text': 'warning',
  },
  says: {
    'empty-messages': () => 'TRL stops with an IndexError: it looks at the first message of every row',
    'unknown-role': (role) =>
      `most chat templates let the role ${role} pass, and train it as a header of its own`,
    'missing-content': () =>
      'chat templates raise an error for a message without content, or train the word None',
    'equal-neighbours': (role) =>
      `chat templates such as Gemma's and Mistral's refuse two messages in a row from the ${role}`,
  },
};

const TEXTS = { keys: ['content'], marks: TEMPLATE_MARKS };

/** Hugging Face TRL. */
export const trl: Target = {
  summary: 'Hugging Face TRL (SFT, and DPO from pairs)',
  asOf: '2026-11',
  sources: [
    'huggingface/trl, trl/data_utils.py and trl/trainer/sft_trainer.py',
    'huggingface/trl, docs/source/dataset_formats.md',
  ],
  shapes: {
    messages: {
      write: writeMessagesRow,
      check: (row, report) => checkMessagesRow(row, report, TRL_RULES),
      texts: TEXTS,
    },
    'prompt-completion': { write: writePromptCompletion, check: checkPromptCompletion, texts: TEXTS },
  },
  preferences: { preference: trlPreference },
  throughDatasets: true,
  limits: {},
  tools: true,
  reserved: TEMPLATE_MARKS,
  advice: (_fileName, shape) =>
    shape === 'messages'
      ? 'TRL trains on every token of these rows; set assistant_only_loss=True to train on the answers alone.'
      : null,
};

function writeMessagesRow(example: Example, out: ByteWriter): void {
  out.bytes(MESSAGES);
  writeTrlMessages(example, out);
  out.bytes(CLOSE);
  writeTrlTools(example.tools, out);
  out.bytes(END);
}

/** The completion is the last answer, which alone is trained; all before it is the prompt. */
function writePromptCompletion({ system, messages, tools }: Example, out: ByteWriter): void {
  const { before, answer } = splitAtLastAnswer(messages);
  out.bytes(PROMPT);
  writeTrlMessages({ system, messages: before }, out);
  out.bytes(COMPLETION);
  writeTrlMessages({ system: null, messages: [answer] }, out);
  out.bytes(CLOSE);
  writeTrlTools(tools, out);
  out.bytes(END);
}

/** Both columns hold messages, or both hold text. */
function checkPromptCompletion(row: unknown, report: Report): void {
  const tell = teller(TRL_RULES, report);
  if (!isObject(row)) {
    tell('not-an-object', {
      path: '',
      message: 'TRL expects every line to be a JSON object',
      fix: 'Write one object per line.',
    });
    return;
  }
  const missing = ['prompt', 'completion'].filter((key) => row[key] === undefined);
  for (const path of missing) {
    tell('missing-key', {
      path,
      message: `TRL finds no column ${path}`,
      fix: 'Write both prompt and completion.',
    });
  }
  if (missing.length > 0) return;
  const { prompt, completion, tools } = row;
  if (typeof prompt === 'string' && typeof completion === 'string') {
    if (completion.trim() !== '') return;
    const message = 'TRL finds nothing to train in the row';
    tell('empty-answer', { path: 'completion', message, fix: 'Add the answer, or remove the row.' });
    return;
  }
  const before = checkMessages(prompt, 'prompt', TRL_RULES, tell);
  const after = checkMessages(completion, 'completion', TRL_RULES, tell);
  // Without one of them there is no order.
  if (before.length > 0 && after.length > 0) checkOrder([...before, ...after], 'completion', TRL_RULES, tell);
  if (tools !== undefined) checkSchemas(tools, 'tools', TRL_RULES, tell);
}
