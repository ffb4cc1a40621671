import { LoraExportError } from '../errors.js';
import { readTextFile } from './text-file.js';

/**
 * The value of a small JSON file that a flag names. A key that an object has twice is refused, since the parser would
 * take the last without a word; and so is `__proto__`, which checks of a value pass over.
 * @throws LoraExportError `E_USAGE` naming the file
 */
export function readJsonFile(path: string, flag: string, mostBytes?: number): unknown {
  const text = readTextFile(path, flag, mostBytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser quotes what stands around the mistake, which may be a piece of a password; so no `cause` either.
    const [what] = (error as Error).message.split(/, (?:\.\.\.)?"/);
    throw new LoraExportError('E_USAGE', `${path} is not valid JSON: ${what}.`);
  }
  const problem = problemOfKeys(text);
  if (problem === null) return value;
  throw new LoraExportError('E_USAGE', `${path} ${problem}`);
}

/** What is wrong with a key, which is named as it is written there; null where nothing is. */
function problemOfKeys(json: string): string | null {
  const open: Set<unknown>[] = [];
  for (const [token, isKey] of tokens(json)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (isKey) {
      const key: unknown = JSON.parse(token);
      if (key === '__proto__') return `has the key ${token}, which is not known.`;
      if (open.at(-1)?.has(key))
        return `has the key ${token} twice in one object; keep the one that is meant.`;
      open.at(-1)?.add(key);
    }
  }
  return null;
}

/** Brackets and texts of valid JSON, and whether a text is a key. One pattern for a whole text would overflow on a long one. */
function* tokens(json: string): Generator<[token: string, isKey: boolean]> {
  const brackets = /["{}[\]]/g;
  const colon = /\s*:/y;
  for (let found = brackets.exec(json); found !== null; found = brackets.exec(json)) {
    if (found[0] !== '"') {
      yield [found[0], false];
      continue;
    }
    const end = endOfText(json, found.index + 1);
    colon.lastIndex = end;
    yield [json.slice(found.index, end), colon.test(json)];
    brackets.lastIndex = end;
  }
}

/** Behind the quotation mark that closes a text: the first one with no backslash, or an even number of them, before it. */
function endOfText(json: string, start: number): number {
  for (let quote = json.indexOf('"', start); ; quote = json.indexOf('"', quote + 1)) {
    let first = quote;
    while (json[first - 1] === '\\') first--;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
}
