import type { Problem } from '../targets/target.js';
import type { FileRules } from './file-rules.js';
import type { Locate } from './problem-log.js';

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The start of a file without its mark, which is held against the rules; null when the file is UTF-16. */
export function withoutBom(start: Buffer, { bom }: Pick<FileRules, 'bom'>, locate: Locate): Buffer | null {
  const report = (severity: Problem['severity'], rule: string, message: string, fix: string): void =>
    locate({ rule, path: '', severity, message, fix }, 1);
  if ((start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff)) {
    report('error', 'not-utf8', 'the file is UTF-16', 'Convert it to UTF-8, for example with iconv.');
    return null;
  }
  if (!start.subarray(0, 3).equals(BYTE_ORDER_MARK)) {
    if (bom === 'required') {
      report(
        'error',
        'missing-bom',
        'the file does not start with a byte order mark, which the service asks for',
        'Put EF BB BF in front.',
      );
    }
    return start;
  }
  if (bom === 'error' || bom === 'warning') {
    const does =
      bom === 'error' ? 'many readers fail on line 1' : 'it is skipped here, other readers fail on line 1';
    report(
      bom,
      'byte-order-mark',
      `the file starts with a byte order mark: ${does}`,
      'Write UTF-8 without it.',
    );
  }
  return start.subarray(3);
}
