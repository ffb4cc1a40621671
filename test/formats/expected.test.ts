import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { formatNames, formats } from '../../src/formats/index.js';
import { validateOutput } from '../../src/validate-output.js';
import { aConversation } from '../support/conversations.js';
import { encode } from './encode.js';
import { fixtureLines, fromLine, isWritten, type FixtureLine } from './fixture-conversations.js';
import { asHeldBy, READERS } from './readers.js';

const DATA = new URL('../../../shared/data/', import.meta.url);
const FILES = ['conversations.ndjson.gz', 'nasty.ndjson.gz'];
const hasData = FILES.every((file) => existsSync(new URL(file, DATA)));
if (!hasData) {
  process.stderr.write(`SKIPPED: the tests with real text need ${FILES.join(' and ')} in ../shared/data.\n`);
}

const EVERYTHING = { includeApprovalHistory: true, includeParentReferences: true };

describe.each(formatNames)('format %s', async (name) => {
  const format = await formats[name].load();
  const contents = (lines: readonly FixtureLine[]): string[][] =>
    lines.map(({ turns }) => turns.map(({ content }) => asHeldBy(name, content ?? '')));
  const written = (lines: readonly FixtureLine[]): FixtureLine[] =>
    lines.filter((line) => isWritten(fromLine(line)));

  it('writes the fixtures exactly as the expected file has them', () => {
    const lines = written(fixtureLines());
    expect(lines.length).toBeGreaterThan(15);
    const { bytes, text } = encode(format, lines.map(fromLine), EVERYTHING);
    const file = new URL(`../../fixtures/expected/conversations.${formats[name].extension}`, import.meta.url);
    // A change that is meant: run once with UPDATE_EXPECTED=1 and review the difference.
    if (process.env['UPDATE_EXPECTED'] === '1') writeFileSync(file, bytes);
    expect(bytes.equals(readFileSync(file)), `${file.pathname} differs`).toBe(true);
    expect(READERS[name](text)).toEqual(contents(lines));
    expect(validateOutput(name, text)).toBe(true);
  });

  it('holds one very long turn, and very many turns', () => {
    const long = 'A paragraph, "quoted" * and _more_ `code`.\n\n'.repeat(6_000);
    const many = Array.from(
      { length: 100_000 },
      (_, index) => `${index % 2 === 0 ? 'user' : 'assistant'}: turn ${index}`,
    );
    const conversations = [
      aConversation({ turns: [`user: ${long}`, 'assistant: ok'] }),
      aConversation({ turns: many }),
    ];
    expect(READERS[name](encode(format, conversations).text)).toEqual([
      [long, 'ok'],
      many.map((_, index) => `turn ${index}`),
    ]);
  });

  it.skipIf(!hasData)('gives real conversations and strings that break software back', () => {
    for (const file of FILES) {
      const lines = written(
        gunzipSync(readFileSync(new URL(file, DATA)))
          .toString('utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as FixtureLine),
      );
      const { text } = encode(format, lines.map(fromLine), EVERYTHING);
      const read = READERS[name](text);
      const expected = contents(lines);
      expect(read).toHaveLength(expected.length);
      const different = lines.filter((_, index) => read[index]?.join('\0') !== expected[index]?.join('\0'));
      expect(different.map(({ conversation_id }) => conversation_id)).toEqual([]);
      expect(validateOutput(name, text)).toBe(true);
    }
  });
});
