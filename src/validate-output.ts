import { ROLES } from './conversation.js';
import { LoraExportError } from './errors.js';
import type { FormatName } from './formats/index.js';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Whether a whole document is what its format promises; the messages name the line, row or member.
 * @throws LoraExportError `E_DATA` with the first problem
 */
export function validateOutput(format: FormatName, output: string): true {
  VALIDATORS[format](output.replace(/^\ufeff/, ''));
  return true;
}

const VALIDATORS: Record<FormatName, (output: string) => void> = {
  jsonl: validateJsonl,
  json: validateJson,
  csv: validateCsv,
  markdown: validateMarkdown,
};

function refuse(message: string): never {
  throw new LoraExportError('E_DATA', message);
}

function validateJsonl(output: string): void {
  if (output.trim() === '') refuse('Empty output');
  const lines = output.split('\n');
  if (lines.at(-1) === '') lines.pop();
  lines.forEach((line, index) => {
    const place = `Line ${index + 1}`;
    const record = parsed(line) ?? refuse(`${place}: Invalid JSON`);
    const messages = member(record, 'messages');
    if (!Array.isArray(messages)) refuse(`${place}: messages is missing or not an array`);
    if (messages.length === 0) refuse(`${place}: messages is empty`);
    messages.forEach((message: unknown, turn) => {
      const at = `${place}: messages[${turn}]`;
      const role = member(message, 'role');
      if (typeof role !== 'string') refuse(`${at} has no role`);
      if (!(ROLES as readonly string[]).includes(role))
        refuse(`${at} has a role other than ${ROLES.join(', ')}`);
      if (typeof member(message, 'content') !== 'string') refuse(`${at} has no content`);
    });
  });
}

function validateJson(output: string): void {
  const invalid = (problem: string): never => refuse(`Invalid JSON format: ${problem}`);
  const document = parsed(output) ?? invalid('it cannot be parsed');
  for (const key of ['version', 'export_date', 'conversation_count']) {
    if (member(document, key) === undefined) invalid(`${key} is missing`);
  }
  const conversations = member(document, 'conversations');
  if (!Array.isArray(conversations)) return invalid('conversations is not an array');
  if (member(document, 'conversation_count') !== conversations.length) {
    invalid(`conversation_count does not match the ${conversations.length} conversations`);
  }
  conversations.forEach((conversation: unknown, index) => {
    const place = `conversations[${index}]`;
    if (typeof member(conversation, 'conversation_id') !== 'string')
      invalid(`${place} has no conversation_id`);
    const turns = member(conversation, 'turns');
    // An export without full content has no turns at all; an empty list is a mistake.
    if (turns === undefined) return;
    if (!Array.isArray(turns) || turns.length === 0) return invalid(`${place} has no turns`);
    turns.forEach((turn: unknown, position) => {
      for (const key of ['role', 'content']) {
        if (typeof member(turn, key) !== 'string') invalid(`${place}.turns[${position}] has no ${key}`);
      }
    });
  });
}

function validateCsv(output: string): void {
  if (output === '') refuse('Empty output');
  const widths = rowWidths(output);
  const [columns = 0] = widths;
  if (!output.startsWith('conversation_id,'))
    refuse('Invalid CSV format: the header does not start with conversation_id');
  const odd = widths.findIndex((width) => width !== columns);
  if (odd > 0) {
    refuse(`Invalid CSV format: row ${odd + 1} has ${widths[odd]} cells, but the header has ${columns}`);
  }
}

/** How many cells each row has, by the grammar of RFC 4180. */
function rowWidths(output: string): number[] {
  // A quoted cell, or one without quotes, and what ends it.
  const cell = /(?:"[^"]*(?:""[^"]*)*"|[^",\r\n]*)(,|\r\n|\n|$)/y;
  const widths: number[] = [];
  let width = 0;
  while (cell.lastIndex < output.length) {
    const end = cell.exec(output)?.[1];
    if (end === undefined)
      return refuse(`Invalid CSV format: row ${widths.length + 1} has a quote out of place`);
    width++;
    if (end === ',') continue;
    widths.push(width);
    width = 0;
  }
  // The last cell of a document without a final newline may be empty.
  if (width > 0) widths.push(width + 1);
  return widths;
}

/** Headings and quotations only: nothing of a turn may stand at the start of a line. */
function validateMarkdown(output: string): void {
  const lines = output.split('\n');
  lines.forEach((line, index) => {
    if (index === 0 && line === '') return;
    const isKnown = /^($|> |# Conversation: |## Conversation$|\*\*.+:\*\*$|- [A-Z][A-Za-z ]+: |---$)/.test(
      line,
    );
    if (!isKnown)
      refuse(`Invalid Markdown format: line ${index + 1} is neither heading, metadata nor quotation`);
  });
  if (output !== '' && !output.startsWith('# Conversation: ')) {
    refuse('Invalid Markdown format: it does not start with a conversation');
  }
}

function parsed(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function member(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
