import { LoraExportError } from '../errors.js';
import { readTextFile } from './text-file.js';

/**
 * The value of a small JSON file that a flag names. A key that an object has twice is refused: the parser would take
 * the last without a word.
 * @throws LoraExportError `E_USAGE` naming the file
 */
export function readJsonFile(path: string, flag: string): unknown {
  const text = readTextFile(path, flag);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser quotes what stands around the mistake, which may be a piece of a password; so no `cause` either.
    const [what] = (error as Error).message.split(/, (?:\.\.\.)?"/);
    throw new LoraExportError('E_USAGE', `${path} is not valid JSON: ${what}.`);
  }
  const key = repeatedKey(text);
  if (key === null) return value;
  throw new LoraExportError('E_USAGE', `${path} has the key ${key} twice in one object.`, {
    hint: 'Keep the one that is meant.',
  });
}

/** As it is written there, with its quotation marks; null where no key is repeated. */
function repeatedKey(json: string): string | null {
  const open: Set<unknown>[] = [];
  for (const [token, text, colon] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*(:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (text !== undefined && colon !== undefined) {
      const key: unknown = JSON.parse(text);
      if (open.at(-1)?.has(key)) return text;
      open.at(-1)?.add(key);
    }
  }
  return null;
}
