import type { Text } from './text.js';

const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

/** How many bytes the escape that starts with the backslash at `index` takes: 2, or 6 for `\uXXXX`. */
export function escapeLength(json: Uint8Array, index: number): 2 | 6 {
  return json[index + 1] === LETTER_U ? 6 : 2;
}

/** Whether the escape at `index` is half of a surrogate pair without its other half. */
export function isLoneSurrogate(json: Uint8Array, index: number): boolean {
  const unit = codeUnitAt(json, index);
  if (unit >= 0xd800 && unit <= 0xdbff) return !isLowSurrogate(codeUnitAt(json, index + 6));
  return isLowSurrogate(unit) && !isHighSurrogate(codeUnitBefore(json, index));
}

/**
 * Whether a JSON text holds an escaped lone surrogate. Only columns of type `json` can: `jsonb` refuses it, and UTF-8
 * text cannot express it.
 */
export function hasLoneSurrogate(json: Text): boolean {
  for (let index = json.start; index < json.end; index++) {
    if (json.source[index] !== BACKSLASH) continue;
    if (isLoneSurrogate(json.source, index)) return true;
    index += escapeLength(json.source, index) - 1;
  }
  return false;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** The code unit that `\uXXXX` at `index` stands for, or -1 when no such escape stands there. */
function codeUnitAt(json: Uint8Array, index: number): number {
  if (json[index] !== BACKSLASH || json[index + 1] !== LETTER_U) return -1;
  const digits = String.fromCharCode(...json.subarray(index + 2, index + 6));
  return Number.parseInt(digits, 16);
}

/** The same for the escape that ends before `index`; its backslash must not itself be escaped. */
function codeUnitBefore(json: Uint8Array, index: number): number {
  const start = index - 6;
  let backslashes = 0;
  while (json[start - 1 - backslashes] === BACKSLASH) backslashes++;
  return backslashes % 2 === 0 ? codeUnitAt(json, start) : -1;
}
