import { isObject } from '../targets/row-checks.js';

/** One message, whatever the shape it stood in. */
export interface Said {
  /** `system`, `user`, `assistant`, or the word of the file. */
  readonly role: string;
  readonly text: string;
}

const ROLE_WORDS: Readonly<Record<string, string>> = { human: 'user', gpt: 'assistant', model: 'assistant' };
/** Keys that hold messages or a text, in the order of a conversation; the role of a bare text stands beside. */
const PARTS: readonly (readonly [key: string, role: string])[] = [
  ['system', 'system'],
  ['systemInstruction', 'system'],
  ['input', 'user'],
  ['history', 'user'],
  ['messages', 'user'],
  ['conversations', 'user'],
  ['contents', 'user'],
  ['prompt', 'user'],
  ['instruction', 'user'],
  ['completion', 'assistant'],
  ['output', 'assistant'],
  ['chosen', 'assistant'],
  ['preferred_output', 'assistant'],
  ['rejected', 'assistant'],
  ['non_preferred_output', 'assistant'],
  ['completions', 'assistant'],
];

/** What was said in a row of any shape that training files have; nothing for a row of another. */
export function dialogueOf(row: unknown): Said[] {
  if (!isObject(row)) return [];
  const said: Said[] = [];
  for (const [key, role] of PARTS) {
    const value = row[key];
    if (key === 'input' && isObject(value)) said.push(...dialogueOf(value));
    else addSaid(value, role, said);
  }
  return said;
}

function addSaid(value: unknown, role: string, said: Said[]): void {
  if (typeof value === 'string') {
    if (value !== '') said.push({ role, text: value });
    return;
  }
  for (const entry of Array.isArray(value) ? value : [value]) {
    if (Array.isArray(entry)) {
      // A pair of the alpaca shape.
      entry.forEach((text, index) => addText(text, index % 2 === 0 ? 'user' : 'assistant', said));
    } else if (isObject(entry)) {
      const word = entry['role'] ?? entry['from'];
      const own = typeof word === 'string' ? (ROLE_WORDS[word] ?? word) : role;
      addText(
        entry['content'] ?? entry['value'] ?? entry['parts'] ?? entry['text'] ?? entry['completion'],
        own,
        said,
      );
    }
  }
}

function addText(content: unknown, role: string, said: Said[]): void {
  if (typeof content === 'string') {
    said.push({ role, text: content });
    return;
  }
  const blocks: readonly unknown[] = Array.isArray(content)
    ? content
    : isObject(content) && Array.isArray(content['parts'])
      ? content['parts']
      : [];
  const texts = blocks.flatMap((block) =>
    isObject(block) && typeof block['text'] === 'string' ? [block['text']] : [],
  );
  if (texts.length > 0) said.push({ role, text: texts.join('\n') });
}
