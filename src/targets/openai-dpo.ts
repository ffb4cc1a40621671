import type { ByteWriter } from '../bytes/byte-writer.js';
import { checkKeys, checkReserved, listAt, objectAt, textAt } from './dialogue-checks.js';
import { teller, type MessagesRules } from './messages-rules.js';
import { writeMessages } from './messages.js';
import { OPENAI_RULES } from './openai.js';
import { checkPrompt } from './prompt-checks.js';
import { OPENAI_MARKS } from './reserved-text.js';
import { problems, type JsonObject } from './row-checks.js';
import type { Preference, Report, Target } from './target.js';
import { checkSchemas } from './tool-checks.js';

const OPEN = Buffer.from('{"input":{"messages":[');
const END_MESSAGES = Buffer.from(']');
const TOOLS = Buffer.from(',"tools":');
const PREFERRED = Buffer.from('},"preferred_output":[{"role":"assistant","content":');
const NON_PREFERRED = Buffer.from('}],"non_preferred_output":[{"role":"assistant","content":');
const END = Buffer.from('}]}\n');

const OUTPUTS = ['preferred_output', 'non_preferred_output'] as const;
const REFUSED = 'the service refuses the file';
const RESERVED = { severity: 'error', message: 'message contains an invalid token' } as const;

/** Empty text is refused here, unlike in plain rows. */
const PROMPT_RULES: MessagesRules = {
  ...OPENAI_RULES,
  verdicts: {
    ...OPENAI_RULES.verdicts,
    'empty-content': 'error',
    'empty-answer': 'error',
  },
};

/** OpenAI preference tuning (DPO); Together, Fireworks and Azure read the same rows. */
export const openaiDpo: Target = {
  summary: 'OpenAI preference pairs (DPO), also for Together and Fireworks',
  asOf: '2026-11',
  sources: [
    'openai/openai-openapi, openapi.yaml at 498c71d, FineTunePreferenceRequestInput',
    'developers.openai.com/api/docs/guides/direct-preference-optimization',
    'togethercomputer/together-python, src/together/utils/files.py',
  ],
  shapes: {},
  preferences: { preference: { write, check } },
  checksFileName: true,
  limits: { minRows: 10, maxBytes: 512 * 1024 * 1024, maxTokens: 65_536 },
  tools: true,
  reserved: OPENAI_MARKS,
  policy: { 'reserved-text': 'skip' },
  advice: () =>
    'Fireworks reads only pairs whose prompt has, besides the system prompt, exactly one message.',
};

function write({ prompt, chosen, rejected }: Preference, out: ByteWriter): void {
  out.bytes(OPEN);
  writeMessages(prompt, out);
  out.bytes(END_MESSAGES);
  if (prompt.tools !== null) {
    out.bytes(TOOLS);
    out.json(prompt.tools);
  }
  out.bytes(PREFERRED);
  out.jsonString(chosen);
  out.bytes(NON_PREFERRED);
  out.jsonString(rejected);
  out.bytes(END);
}

function check(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  const extra = { severity: 'error', message: `${REFUSED}: 'contains an extra …'` } as const;
  checkKeys(object, ['input', ...OUTPUTS], '', report, extra);
  checkInput(object['input'], report);
  const [preferred, other] = OUTPUTS.map((key) => checkOutput(object, key, report));
  if (preferred !== null && preferred === other) {
    problems(report).warning(
      'identical-outputs',
      '',
      'both answers are the same, so the row teaches nothing',
      'Remove the row.',
    );
  }
}

function checkInput(input: unknown, report: Report): void {
  const { error } = problems(report);
  if (input === undefined) {
    error('missing-key', 'input', `${REFUSED}: "input" is missing`, 'Add {"messages":[…]}.');
    return;
  }
  const object = objectAt(input, 'input', report);
  if (object === null) return;
  const extra = { severity: 'error', message: `${REFUSED}: 'contains an extra …'` } as const;
  checkKeys(object, ['messages', 'tools', 'parallel_tool_calls'], 'input', report, extra);
  const { tools, parallel_tool_calls: parallel } = object;
  const tell = teller(PROMPT_RULES, report);
  if (tools !== undefined) checkSchemas(tools, 'input.tools', PROMPT_RULES, tell);
  if (parallel !== undefined && typeof parallel !== 'boolean') {
    error(
      'wrong-type',
      'input.parallel_tool_calls',
      `${REFUSED}: this is true or false`,
      'Write true or false.',
    );
  }
  checkPrompt(object, 'messages', 'input', report, PROMPT_RULES);
}

/** The text of the answer, or null where it has none. */
function checkOutput(object: JsonObject, key: (typeof OUTPUTS)[number], report: Report): string | null {
  const { error } = problems(report);
  const old = key.replace('output', 'completion');
  if (object[key] === undefined && object[old] !== undefined) {
    error(
      'missing-key',
      key,
      `${REFUSED}: "${key}" is missing`,
      `Rename "${old}": only an early schema called it so.`,
    );
    return null;
  }
  const messages = listAt(object, key, '', report);
  if (messages === null) return null;
  if (messages.length !== 1) {
    error(
      'wrong-count',
      key,
      `${REFUSED}: an answer is exactly one message`,
      'Keep the one message of the assistant.',
    );
    return null;
  }
  const path = `${key}[0]`;
  const message = objectAt(messages[0], path, report);
  if (message === null) return null;
  if (message['role'] !== 'assistant') {
    error(
      'unknown-role',
      `${path}.role`,
      `${REFUSED}: an answer is the assistant's`,
      'Write "role":"assistant".',
    );
  }
  const text = textAt(message, 'content', path, report, { consequence: REFUSED });
  if (text !== null) {
    checkReserved(text, OPENAI_MARKS, `${path}.content`, report, RESERVED);
  }
  return text;
}
