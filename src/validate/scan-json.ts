import { jsonPath } from '../import/line-error.js';

/** What a parsed value no longer shows. */
export type HiddenFlaw = 'duplicate-key' | 'big-integer' | 'lone-surrogate' | 'line-separator' | 'too-deep';

/** Readers in Python give up at about a thousand levels; training data has fewer than ten. */
const DEEPEST = 200;

interface Level {
  /** Null in an array. */
  readonly keys: Set<string> | null;
  /** The key or index of the value that comes next. */
  step: string | number;
  awaitsKey: boolean;
}

/**
 * Walks a valid JSON text for what parsing hides. It stops at values nested too deep for other readers.
 * @param json must have been parsed before
 */
export function scanJson(json: string, tell: (flaw: HiddenFlaw, path: string) => void): void {
  const mayHoldHalves = /\\u[dD][89a-fA-F]/.test(json);
  const mayHoldSeparators = /[\u0085\u2028\u2029]/.test(json);
  const levels: Level[] = [];
  const report = (flaw: HiddenFlaw): void => tell(flaw, jsonPath(levels.map(({ step }) => step)));
  const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

  const string = (raw: string): void => {
    if (mayHoldHalves && /\p{Cs}/u.test(JSON.parse(raw) as string)) report('lone-surrogate');
    if (mayHoldSeparators && /[\u0085\u2028\u2029]/.test(raw)) report('line-separator');
  };

  for (let index = 0; index < json.length;) {
    const character = json[index];
    const level = levels.at(-1);
    if (character === '"') {
      const end = endOfString(json, index);
      const raw = json.slice(index, end);
      index = end;
      if (level?.awaitsKey === true && level.keys !== null) {
        const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
        level.step = key;
        level.awaitsKey = false;
        if (level.keys.has(key)) report('duplicate-key');
        level.keys.add(key);
      }
      string(raw);
      continue;
    }
    if (character === '{' || character === '[') {
      if (levels.length === DEEPEST) {
        tell('too-deep', '');
        return;
      }
      levels.push(
        character === '{'
          ? { keys: new Set(), step: '', awaitsKey: true }
          : { keys: null, step: 0, awaitsKey: false },
      );
    } else if (character === '}' || character === ']') {
      levels.pop();
    } else if (character === ',' && level !== undefined) {
      if (typeof level.step === 'number') level.step += 1;
      else level.awaitsKey = true;
    } else if (character === '-' || (character !== undefined && character >= '0' && character <= '9')) {
      number.lastIndex = index;
      const text = number.exec(json)?.[0] ?? character;
      index += text.length;
      if (/^-?\d{16,}$/.test(text) && !Number.isSafeInteger(Number(text))) report('big-integer');
      continue;
    }
    index += 1;
  }
}

/** Behind the closing quote of the string that starts at `start`; the end of the text when there is none. */
export function endOfString(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote !== -1; quote = json.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (json[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return json.length + 1;
}
