import { isUtf8 } from 'node:buffer';
import type { Problem } from '../targets/target.js';
import { explainBadJson } from './explain-bad-json.js';
import type { FileCheck } from './file-check.js';
import type { FileRules } from './file-rules.js';
import { createLineSplitter, type SplitLine } from './line-splitter.js';
import type { Locate } from './problem-log.js';
import type { Rows } from './rows.js';
import { withoutBom } from './byte-order-mark.js';

const CARRIAGE_RETURN = 0x0d;

/** JSON Lines: one object per line, nothing else. */
export function checkJsonlFile(
  locate: Locate,
  rules: FileRules,
  rows: Rows,
  maxLineBytes: number,
): FileCheck {
  let unparsed = 0;
  /** Set when the lines are no rows at all, so that one problem says so and not one per line. */
  let isOther = false;
  let lastLine: SplitLine | undefined;
  const splitter = createLineSplitter(maxLineBytes, (line) => {
    lastLine = line;
    if (!isOther) checkLine(line);
  });

  const checkLine = ({ number, offset, bytes: whole, isEnded }: SplitLine): void => {
    const report = (severity: Problem['severity'], rule: string, message: string, fix: string): void =>
      locate({ rule, path: '', severity, message, fix }, number);
    if (whole === null) {
      unparsed += 1;
      report(
        'error',
        'line-too-long',
        `the line is longer than ${maxLineBytes} bytes, and was not read`,
        'Split the row: no trainer reads one of this size.',
      );
      return;
    }
    const bytes = number === 1 ? withoutBom(whole, rules, locate) : whole;
    if (bytes === null) {
      isOther = true;
      return;
    }
    if (isBlank(bytes)) {
      if (isEnded || bytes.length > 0) {
        report(
          rules.blankLine,
          'blank-line',
          rules.blankLine === 'error'
            ? 'the line is blank: most readers fail on it'
            : 'the line is blank: it is skipped here, other readers fail on it',
          'Remove the line; end the file with one line feed.',
        );
      }
      return;
    }
    if (!isUtf8(bytes)) {
      unparsed += 1;
      report('error', 'not-utf8', 'the line is not UTF-8', 'Convert the file, for example with iconv.');
      return;
    }
    if (rows.addKnown(bytes)) return;
    if (bytes.at(-1) === CARRIAGE_RETURN) {
      report('warning', 'carriage-return', 'the line ends in CR LF', 'End lines with LF alone.');
    }
    const json = bytes.toString('utf8');
    if (number === 1 && /^\s*[[{][\s[{]*$/.test(json)) {
      isOther = true;
      unparsed += 1;
      report(
        'error',
        'not-json-lines',
        'Invalid JSON: the line only opens a value, so this is JSON over several lines',
        'Write each row on one line, without indentation; or check the file with --format json.',
      );
      return;
    }
    let row: unknown;
    try {
      row = JSON.parse(json);
    } catch (error) {
      unparsed += 1;
      locate(explainBadJson(json, error, !isEnded), number);
      return;
    }
    if (Array.isArray(row)) {
      unparsed += 1;
      report(
        'error',
        'json-array',
        'the line is a list: a JSON array is not JSON Lines',
        'Write each entry as a line of its own.',
      );
      return;
    }
    rows.add(row, json, number, offset);
  };

  return {
    write: (bytes) => splitter.write(bytes),
    end() {
      splitter.end();
      if (!isOther && lastLine?.isEnded === false) {
        locate(
          {
            rule: 'no-final-newline',
            path: '',
            severity: 'warning',
            message: 'the last line has no line feed: it runs into the next file when files are joined',
            fix: 'End the file with one line feed.',
          },
          lastLine.number,
        );
      }
      rows.end();
      return { rows: rows.count() + unparsed, shape: rows.shape() };
    },
  };
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== CARRIAGE_RETURN) return false;
  return true;
}
