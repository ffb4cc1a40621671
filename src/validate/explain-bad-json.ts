import type { Problem } from '../targets/target.js';
import { endOfString } from './scan-json.js';

/** Why a line that the parser refused is not JSON, without quoting it: the engine's own words would. */
export function explainBadJson(json: string, error: unknown, isLast: boolean): Problem {
  const problem = (rule: string, message: string, fix: string): Problem => ({
    rule,
    path: '',
    severity: 'error',
    message: `Invalid JSON: ${message}`,
    fix,
  });
  const { outside, isInString } = withoutStrings(json);
  const isStart = outside.trimStart().startsWith('{');
  if (/(?:^|[[:,\s])-?(?:NaN|Infinity)\b/.test(outside)) {
    return problem(
      'not-a-number',
      'NaN and Infinity are no JSON numbers',
      'Write null, or a text; in Python, json.dumps(…, allow_nan=False) finds the value.',
    );
  }
  if (isStart && isInString && !isLast) {
    return problem(
      'raw-line-break',
      'the line ends inside a text, so a raw line break stands in it',
      'Write a line break inside a text as \\n.',
    );
  }
  if (isStart && isLast && (isInString || opens(outside) > 0)) {
    return problem(
      'cut-off',
      'the file ends in the middle of this row',
      'Write or copy the file again: it was cut off.',
    );
  }
  if (/^\s*\{.*\}\s*\{/s.test(outside) && opens(outside) === 0) {
    return problem(
      'several-rows',
      'more than one object stands on the line',
      'Put each object on a line of its own.',
    );
  }
  const position = /position (\d+)/.exec(String(error))?.[1];
  const where =
    position === undefined
      ? 'it cannot be parsed'
      : `it cannot be parsed from character ${Number(position) + 1} on`;
  return problem('invalid-json', where, 'Write each row with a JSON library, on one line.');
}

/** The text with the content of its strings left out. */
function withoutStrings(json: string): { outside: string; isInString: boolean } {
  const pieces: string[] = [];
  let from = 0;
  for (let quote = json.indexOf('"'); quote !== -1; quote = json.indexOf('"', from)) {
    pieces.push(json.slice(from, quote), '""');
    from = endOfString(json, quote);
    if (from > json.length) return { outside: pieces.join(''), isInString: true };
  }
  pieces.push(json.slice(from));
  return { outside: pieces.join(''), isInString: false };
}

/** How many brackets are still open at the end. */
function opens(outside: string): number {
  let depth = 0;
  for (const character of outside) {
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
  }
  return depth;
}
