import type { ByteWriter } from '../bytes/byte-writer.js';
import { Text } from '../bytes/text.js';
import { alpacaShape } from './alpaca.js';
import { checkKeys, checkOrder, listAt, objectAt, type Spoken } from './dialogue-checks.js';
import { functionCall, isFunctionCall } from './function-call.js';
import { checkMessages } from './messages-checks.js';
import { teller, type CanonicalRole, type MessagesRules } from './messages-rules.js';
import { TEMPLATE_MARKS } from './reserved-text.js';
import { isObject, problems, type JsonObject } from './row-checks.js';
import {
  checkShareGptMessage,
  SHAREGPT_TOOL_ROLES,
  writeShareGptMessage,
  writeShareGptMessages,
} from './sharegpt-messages.js';
import type { Example, Preference, Report, Target } from './target.js';
import { checkSchemas } from './tool-checks.js';

const MESSAGES = Buffer.from('{"messages":[');
const CONVERSATIONS = Buffer.from('{"conversations":[');
const TOOLS = Buffer.from('],"tools":');
const CHOSEN = Buffer.from(',"chosen":');
const REJECTED = Buffer.from(',"rejected":');
const COMMA = Buffer.from(',');
const END_MESSAGE = Buffer.from('}');
const END = Buffer.from('}\n');
const HEADS = {
  system: Buffer.from('{"role":"system","content":'),
  user: Buffer.from('{"role":"user","content":'),
  assistant: Buffer.from('{"role":"assistant","content":'),
  tool_call: Buffer.from('{"role":"function","content":'),
  tool: Buffer.from('{"role":"tool","content":'),
};
const NO_TOOLS = Text.of('');

const DROPPED = 'LLaMA-Factory drops the row with a warning';
const STOPS = 'LLaMA-Factory stops';
const IGNORED = {
  severity: 'warning',
  message: 'LLaMA-Factory ignores the column, and loading stops when its type changes after 10 MiB',
} as const;

const RULES: MessagesRules = {
  reader: 'LLaMA-Factory',
  roles: new Map<string, CanonicalRole>([
    ['system', 'system'],
    ['user', 'user'],
    ['assistant', 'assistant'],
    ['tool', 'tool'],
    ['function', 'assistant'],
  ]),
  weight: 'unread',
  reserved: TEMPLATE_MARKS,
  tools: {
    id: null,
    name: /./,
    arguments: 'either',
    content: 'present',
    schema: ['name'],
    schemasAsText: true,
  },
  verdicts: {
    weight: 'warning',
    'empty-content': 'warning',
    'empty-answer': 'warning',
    'reserved-text': 'warning',
  },
};

/**
 * LLaMA-Factory. Every message has the same two keys and `tools` is text in every row, also where there are none: a
 * column that comes and goes is filled with null or stops the loading. Calls of tools are therefore messages of role
 * `function`, not `tool_calls` on some of the answers.
 */
export const llamaFactory: Target = {
  summary: 'LLaMA-Factory, with its entry for dataset_info.json',
  asOf: '2026-11',
  sources: [
    'hiyouga/LLaMA-Factory, data/README.md',
    'hiyouga/LLaMA-Factory, src/llamafactory/data/converter.py at 02e2fb3',
    'hiyouga/LLaMA-Factory, src/llamafactory/data/parser.py',
  ],
  shapes: {
    openai: {
      write: writeOpenai,
      check: checkOpenai,
      texts: { keys: ['content'], marks: TEMPLATE_MARKS, readClosely: ['function'] },
    },
    sharegpt: {
      write: writeShareGpt,
      check: checkShareGpt,
      texts: { keys: ['value'], marks: TEMPLATE_MARKS, readClosely: ['function_call'] },
    },
    alpaca: alpacaShape,
  },
  preferences: { preference: { write: writePreference, check: checkPreference } },
  throughDatasets: true,
  limits: {},
  tools: 'in-turn',
  reserved: TEMPLATE_MARKS,
  advice: (fileName, shape) => `Entry for dataset_info.json: ${JSON.stringify(datasetInfo(fileName, shape))}`,
};

/** What `dataset_info.json` says of the file; naming some columns or tags resets all others to none. */
function datasetInfo(fileName: string, shape: string): JsonObject {
  const file = fileName.split(/[/\\]/).at(-1) as string;
  const entry = ENTRIES[shape];
  if (entry === undefined) throw new RangeError(`LLaMA-Factory has no shape ${shape}`);
  return { [file.split('.')[0] || file]: { file_name: file, ...entry } };
}

const ENTRIES: Readonly<Record<string, JsonObject>> = {
  openai: {
    formatting: 'openai',
    columns: { messages: 'messages', tools: 'tools' },
    tags: {
      role_tag: 'role',
      content_tag: 'content',
      user_tag: 'user',
      assistant_tag: 'assistant',
      observation_tag: 'tool',
      function_tag: 'function',
      system_tag: 'system',
    },
  },
  sharegpt: { formatting: 'sharegpt', columns: { messages: 'conversations', tools: 'tools' } },
  alpaca: {
    columns: {
      prompt: 'instruction',
      query: 'input',
      response: 'output',
      system: 'system',
      history: 'history',
    },
  },
  preference: {
    formatting: 'sharegpt',
    ranking: true,
    columns: { messages: 'conversations', tools: 'tools', chosen: 'chosen', rejected: 'rejected' },
  },
};

function writeOpenai({ system, messages, tools }: Example, out: ByteWriter): void {
  out.bytes(MESSAGES);
  if (system !== null) writeMessage('system', system, out);
  for (const [index, message] of messages.entries()) {
    if (index > 0 || system !== null) out.bytes(COMMA);
    writeMessage(message.role, message.role === 'tool_call' ? functionCall(message) : message.content, out);
  }
  writeTools(tools, out);
  out.bytes(END);
}

function writeMessage(role: keyof typeof HEADS, content: Text, out: ByteWriter): void {
  out.bytes(HEADS[role]);
  out.jsonString(content);
  out.bytes(END_MESSAGE);
}

function writeShareGpt(example: Example, out: ByteWriter): void {
  out.bytes(CONVERSATIONS);
  writeShareGptMessages(example, out);
  writeTools(example.tools, out);
  out.bytes(END);
}

function writePreference({ prompt, chosen, rejected }: Preference, out: ByteWriter): void {
  out.bytes(CONVERSATIONS);
  writeShareGptMessages(prompt, out);
  writeTools(prompt.tools, out);
  out.bytes(CHOSEN);
  writeShareGptMessage('assistant', chosen, out);
  out.bytes(REJECTED);
  writeShareGptMessage('assistant', rejected, out);
  out.bytes(END);
}

function writeTools(tools: Text | null, out: ByteWriter): void {
  out.bytes(TOOLS);
  out.jsonString(tools ?? NO_TOOLS);
}

function checkOpenai(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['messages', 'tools', 'system'], '', report, IGNORED);
  checkTools(object, report);
  const messages = listAt(object, 'messages', '', report);
  if (messages === null) return;
  const places = checkMessages(messages, 'messages', RULES, teller(RULES, report));
  checkCalls(messages, report);
  const spoken: Spoken[] = [];
  for (const [index, { path, role }] of places.entries()) {
    // Several tools that answer in a row are read as one.
    if (role === 'tool' && places[index - 1]?.role === 'tool') continue;
    spoken.push({ path, side: role === 'tool' ? 'user' : role });
  }
  // An empty list was reported with its messages.
  if (spoken.length > 0) checkOrder(spoken, report, { path: 'messages', consequence: DROPPED });
}

/** What is special about calls here: their text, and what older loaders make of a key that only some messages have. */
function checkCalls(messages: readonly unknown[], report: Report): void {
  const { error, warning } = problems(report);
  let calling = -1;
  for (const [index, message] of messages.entries()) {
    if (!isObject(message)) continue;
    const { role, content, tool_calls: calls } = message;
    if (role === 'function' && typeof content === 'string')
      checkCallText(content, `messages[${index}].content`, report);
    if (calls === null) {
      error(
        'tool-call',
        `messages[${index}].tool_calls`,
        `${STOPS}: it counts the calls of null`,
        'Remove the key.',
      );
    } else if (calls !== undefined && calling < 0) calling = index;
  }
  if (calling >= 0 && messages.some((message) => isObject(message) && message['tool_calls'] === undefined)) {
    const fix =
      'Write the call as a message of role "function", its content {"name":…,"arguments":…} as text.';
    warning(
      'tool-call',
      `messages[${calling}].tool_calls`,
      'older loaders give the other messages null here, and LLaMA-Factory stops at that',
      fix,
    );
  }
}

function checkCallText(text: string, path: string, report: Report): void {
  if (isFunctionCall(text)) return;
  problems(report).error(
    'tool-call',
    path,
    `${STOPS}: it reads a call from this text`,
    'Write {"name":…,"arguments":{…}} as text.',
  );
}

function checkTools(object: JsonObject, report: Report): void {
  const { tools } = object;
  if (tools === undefined || tools === null || tools === '') return;
  checkSchemas(tools, 'tools', RULES, teller(RULES, report));
}

function checkShareGpt(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['conversations', 'tools', 'system'], '', report, IGNORED);
  checkConversations(object, 'assistant', report);
}

function checkPreference(row: unknown, report: Report): void {
  const object = objectAt(row, '', report);
  if (object === null) return;
  checkKeys(object, ['conversations', 'tools', 'system', 'chosen', 'rejected'], '', report, IGNORED);
  checkConversations(object, 'user', report);
  const [chosen, rejected] = (['chosen', 'rejected'] as const).map((key) =>
    checkAnswer(object[key], key, report),
  );
  if (chosen !== null && chosen === rejected) {
    problems(report).warning(
      'identical-outputs',
      '',
      'both answers are the same, so the row teaches nothing',
      'Remove the row.',
    );
  }
}

function checkConversations(object: JsonObject, last: 'user' | 'assistant', report: Report): void {
  const { tools } = object;
  if (tools !== undefined && tools !== null && typeof tools !== 'string') {
    problems(report).error(
      'wrong-type',
      'tools',
      'LLaMA-Factory reads tools as JSON text here',
      'Write the schemas as one string.',
    );
  } else {
    checkTools(object, report);
  }
  const messages = listAt(object, 'conversations', '', report);
  if (messages === null) return;
  const options = { roles: SHAREGPT_TOOL_ROLES, consequence: DROPPED };
  const spoken = messages.map((message, index) => {
    const path = `conversations[${index}]`;
    if (isObject(message) && message['from'] === 'function_call' && typeof message['value'] === 'string') {
      checkCallText(message['value'], `${path}.value`, report);
    }
    return checkShareGptMessage(message, path, report, options);
  });
  checkOrder(spoken, report, { path: 'conversations', key: 'from', consequence: DROPPED, last });
}

/** The text of the answer, or null where it has none. */
function checkAnswer(value: unknown, key: 'chosen' | 'rejected', report: Report): string | null {
  const { error } = problems(report);
  if (value === undefined) {
    error('missing-key', key, `${STOPS} without "${key}"`, 'Add {"from":"gpt","value":"…"}.');
    return null;
  }
  const { side } = checkShareGptMessage(value, key, report, {
    roles: SHAREGPT_TOOL_ROLES,
    consequence: DROPPED,
  });
  if (side === 'user' || side === 'system') {
    error('unknown-role', `${key}.from`, `${DROPPED}: an answer is the assistant's`, 'Write "from":"gpt".');
  }
  return isObject(value) && typeof value['value'] === 'string' ? value['value'] : null;
}
