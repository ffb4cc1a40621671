import type { Options } from 'csv-stringify/sync';

/**
 * CSV as this product writes it, in the words of csv-stringify. Every option that decides bytes is written out:
 * csv-stringify ignores unknown ones and its defaults cast silently. `csv-cell.ts` writes the same, straight from bytes.
 */
export const STRINGIFY: Options = {
  bom: false,
  cast: { string: (value) => value },
  delimiter: ',',
  eof: true,
  escape: '"',
  escape_formulas: false,
  header: false,
  quote: '"',
  quoted: false,
  quoted_empty: false,
  // Empty text, which would look like an absent value; line breaks of any kind; white space that readers may trim.
  quoted_match: [/^$/, /[\r\n\u0085\u2028\u2029]/, /^\s/, /\s$/],
  quoted_string: false,
  record_delimiter: '\n',
};
