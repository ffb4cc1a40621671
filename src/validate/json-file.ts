import { isUtf8 } from 'node:buffer';
import { isObject, problems } from '../targets/row-checks.js';
import type { Report } from '../targets/target.js';
import { withoutBom } from './byte-order-mark.js';
import { explainBadJson } from './explain-bad-json.js';
import type { FileCheck } from './file-check.js';
import type { FileRules } from './file-rules.js';
import { createJsonSplitter } from './json-splitter.js';
import type { Locate } from './problem-log.js';
import type { Rows } from './rows.js';
import { scanJson } from './scan-json.js';

const PREFIX = 'Invalid JSON format: ';

/**
 * A JSON document of conversations as the export writes it, or, for a target, a list of rows.
 * @param rows the checks of a target's rows; null without a target
 */
export function checkJsonFile(
  locate: Locate,
  rules: FileRules,
  rows: Rows | null,
  maxElementBytes: number,
): FileCheck {
  let elements = 0;
  let start: Buffer | null = Buffer.alloc(0);
  let isOther = false;
  const report =
    (line: number): Report =>
    (problem) =>
      locate(problem, line);

  const splitter = createJsonSplitter(maxElementBytes, ({ bytes, line, offset, list }) => {
    elements += 1;
    const { error } = problems(report(line));
    if (bytes === null) {
      error(
        'line-too-long',
        '',
        `the entry is longer than ${maxElementBytes} bytes, and was not read`,
        'Split it: no trainer reads one of this size.',
      );
      return;
    }
    if (!isUtf8(bytes)) {
      error('not-utf8', '', 'the entry is not UTF-8', 'Convert the file, for example with iconv.');
      return;
    }
    const json = bytes.toString('utf8');
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch (reason) {
      locate(explainBadJson(json, reason, false), line);
      return;
    }
    if (list === 'rows' && rows !== null) rows.add(value, json, line, offset);
    else if (list === 'conversations') checkConversation(value, json, elements - 1, report(line));
  });

  const feed = (bytes: Buffer): void => {
    if (!isOther) splitter.write(bytes);
  };
  const begin = (bytes: Buffer): void => {
    const rest = withoutBom(bytes, rules, locate);
    start = null;
    if (rest === null) isOther = true;
    else feed(rest);
  };

  return {
    write(bytes) {
      if (start === null) feed(bytes);
      else {
        start = Buffer.concat([start, bytes]);
        if (start.length >= 3) begin(start);
      }
    },
    end() {
      if (start !== null) begin(start);
      if (!isOther) checkFrame(splitter.end(), elements, rules, rows !== null, locate);
      rows?.end();
      return { rows: elements, shape: rows?.shape() ?? null };
    },
  };
}

/** Everything but the entries of the list, which were checked on their own and stand as 0. */
function checkFrame(
  frame: string | null,
  elements: number,
  rules: FileRules,
  hasTarget: boolean,
  locate: Locate,
): void {
  const { error } = problems((problem) => locate(problem, null));
  if (frame === null) {
    error(
      'line-too-long',
      '',
      'the document holds too much beside its conversations, and was not read',
      'Remove what is not a conversation.',
    );
    return;
  }
  if (frame.trim() === '') return;
  let document: unknown;
  try {
    document = JSON.parse(frame);
  } catch {
    error(
      'invalid-json',
      '',
      `${PREFIX}the document is not JSON, or was cut off`,
      'Write it again with a JSON library.',
    );
    return;
  }
  scanJson(frame, (flaw, path) => {
    if (flaw === 'duplicate-key')
      error(flaw, path, 'the key stands twice in one object', 'Keep one of them.');
  });
  if (Array.isArray(document)) {
    if (!hasTarget) {
      error(
        'wrong-type',
        '',
        `${PREFIX}the document is a list, not an object with conversations`,
        'Name the target of its rows with --target.',
      );
    } else if (!rules.guessesColumns) {
      error(
        'json-array',
        '',
        'the file is a JSON array, not JSON Lines: every line reader fails',
        'Write each entry on a line of its own.',
      );
    }
    if (document.length !== elements)
      error('not-an-object', '', 'an entry of the list is not an object', 'Write objects only.');
  } else if (hasTarget) {
    error(
      'not-json-lines',
      '',
      'the file is one JSON document: targets read it as one row, or not at all',
      'Export as JSON Lines.',
    );
  } else {
    checkDocument(document, elements, error);
  }
}

function checkDocument(
  document: unknown,
  elements: number,
  error: ReturnType<typeof problems>['error'],
): void {
  if (!isObject(document)) {
    error(
      'not-an-object',
      '',
      `${PREFIX}the document is not an object`,
      'Write {"version","export_date","conversation_count","conversations"}.',
    );
    return;
  }
  for (const key of ['version', 'export_date', 'conversation_count', 'conversations']) {
    if (document[key] === undefined || document[key] === null)
      error('missing-key', key, `${PREFIX}${key} is missing`, 'Add it.');
  }
  const { conversations, conversation_count: count } = document;
  if (conversations === undefined || conversations === null) return;
  if (!Array.isArray(conversations)) {
    error('wrong-type', 'conversations', `${PREFIX}conversations is not a list`, 'Write a list.');
    return;
  }
  if (conversations.length !== elements)
    error(
      'not-an-object',
      'conversations',
      `${PREFIX}a conversation is not an object`,
      'Write objects only.',
    );
  if (count !== undefined && count !== null && count !== conversations.length) {
    error(
      'wrong-count',
      'conversation_count',
      `${PREFIX}conversation_count is not the number of conversations, ${conversations.length}`,
      'Write the file again: it may be cut off or edited.',
    );
  }
}

/** `turns` may be left out as a whole: exports without content have none. */
function checkConversation(value: unknown, json: string, index: number, report: Report): void {
  const { error } = problems(report);
  const place = `conversations[${index}]`;
  scanJson(json, (flaw, path) => {
    if (flaw === 'duplicate-key' || flaw === 'lone-surrogate') {
      error(
        flaw,
        `${place}.${path}`,
        flaw === 'duplicate-key'
          ? 'the key stands twice in one object'
          : 'the text holds half of a surrogate pair',
        flaw === 'duplicate-key' ? 'Keep one of them.' : 'Replace it by U+FFFD.',
      );
    }
  });
  if (!isObject(value)) {
    error('not-an-object', place, `${PREFIX}the conversation is not an object`, 'Write objects only.');
    return;
  }
  const { conversation_id: id, turns } = value;
  if (typeof id !== 'string' || id === '')
    error('missing-key', `${place}.conversation_id`, `${PREFIX}conversation_id is missing`, 'Add it.');
  if (turns === undefined) return;
  if (!Array.isArray(turns))
    error('wrong-type', `${place}.turns`, `${PREFIX}turns is not a list`, 'Write a list.');
  else if (turns.length === 0)
    error('empty-messages', `${place}.turns`, `${PREFIX}the conversation has no turns`, 'Leave it out.');
  else turns.forEach((turn: unknown, number) => checkTurn(turn, `${place}.turns[${number}]`, report));
}

function checkTurn(turn: unknown, path: string, report: Report): void {
  const { error } = problems(report);
  if (!isObject(turn)) {
    error('wrong-type', path, `${PREFIX}the turn is not an object`, 'Write {"role","content"}.');
    return;
  }
  for (const [key, rule] of [
    ['role', 'missing-key'],
    ['content', 'missing-content'],
  ] as const) {
    const found = turn[key];
    if (found === undefined || found === null || found === '')
      error(
        rule,
        `${path}.${key}`,
        `${PREFIX}the turn has no ${key}`,
        'Add it, or leave the conversation out.',
      );
    else if (typeof found !== 'string')
      error('wrong-type', `${path}.${key}`, `${PREFIX}${key} is not a text`, 'Write a text.');
  }
}
