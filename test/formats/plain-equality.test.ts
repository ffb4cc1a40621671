import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { Text } from '../../src/bytes/text.js';
import type { Conversation } from '../../src/conversation.js';
import type { EncodeOptions, Format } from '../../src/formats/format.js';
import { formatNames, formats, type FormatName } from '../../src/formats/index.js';
import { DEFAULT_ENCODING } from '../support/content-options.js';
import { aConversation, HOSTILE_TEXTS } from '../support/conversations.js';
import { encode } from './encode.js';
import { fixtureLines, fromLine, type FixtureLine } from './fixture-conversations.js';
import { csvDocument, PLAIN } from './plain-encoders.js';

const DATA = new URL('../../../shared/data/', import.meta.url);
const FILES = ['conversations.ndjson.gz', 'nasty.ndjson.gz'];
const hasData = FILES.every((file) => existsSync(new URL(file, DATA)));
if (!hasData) {
  process.stderr.write(`SKIPPED: the tests with real text need ${FILES.join(' and ')} in ../shared/data.\n`);
}

/** Random conversations per format; `npm run test:bytes` takes 100,000. A fault that one seed misses, another may find. */
const CONVERSATIONS = Number(process.env['RANDOM_CONVERSATIONS'] ?? 5_000);
const SEED = Number(process.env['RANDOM_SEED'] ?? 1);
/** So many make a document; each has options of its own. */
const PER_DOCUMENT = 50;

const PIECES = [
  ...HOSTILE_TEXTS,
  ...'\\`*_[]()<>&!#-+=|~:$^{}"\'/.;,0123@ \t\n\n\n\r\v\f\0é中—Ωa'.split(''),
  '\u00a0',
  '\u0085',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\u3000',
  '\u1680',
  '\u2003',
  '\u200b',
  '\u00ad',

  '\u007f',
  '\u0080',
  '\u009f',
  '\u061c',
  '＝',
  '＋',
  '－',
  '＠',
  '\u{1f469}',
  '\u{e0001}',
  '\ue000',
  '\ufffd',

  '1. ',
  '12) ',
  '1234567890. ',
  '- ',
  '---',
  '===',
  '# ',
  '> ',
  '|-|',
  '&amp;',
  '&#32;',
  '<b>',
  '$5',
  'a$',

  '\n\n',
  '\r\n',
  '  ',
  '\\\n',
  '=1+1',
  ' =',
  "'",
  '""',
  'plain words, and some more of them',
  'x'.repeat(70),
];

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function generator(seed: number) {
  const random = randomNumbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const one = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const text = (): string => Array.from({ length: below(5) }, () => one(PIECES)).join('');
  const orNull = (make: () => string): string | null => (random() < 0.2 ? null : make());
  // One buffer per conversation, as a row of the database, with more around the texts that must not be read.
  const view = (): ((value: string) => Text) => {
    const source = Buffer.alloc(16 * 1024, '"= \n#Z');
    let used = 1;
    return (value) => {
      const start = used + below(3);
      used = start + source.write(value, start);
      return new Text(source, start, used);
    };
  };
  return {
    options(): EncodeOptions {
      const flags = Object.entries(DEFAULT_ENCODING).map(([name, value]) => [
        name,
        typeof value === 'boolean' ? random() < 0.6 : value,
      ]);
      return Object.fromEntries(flags) as EncodeOptions;
    },
    conversation(): Conversation {
      const turns = Array.from({ length: below(4) }, (_, index) => ({
        number: index + one([0, 1, 1, 1, -3]),
        role: one(['user', 'assistant', 'system', 'user', 'assistant', text()]),
        content: orNull(text),
      }));
      return aConversation(
        {
          conversationId: text(),
          title: orNull(text),
          status: orNull(text),
          tier: one([null, 'template', 'scenario', 'a "tier"\n']),
          persona: orNull(text),
          emotion: orNull(text),
          topic: orNull(text),
          qualityScore: one([null, '8.5', '10', '-5', '0.250', '9.99', 'NaN', '', 'x']),
          totalTokens: one([null, '512', '0']),
          parentId: orNull(text),
          parentType: orNull(text),
          createdAt: one([null, '2025-10-29T10:00:00.000Z', 'infinity']),
          updatedAt: one([null, '2025-10-30T11:12:13.456Z', '-infinity', '']),
          category: one([null, '["one","two"]', '[]']),
          parameters: one([
            null,
            '{}',
            ' { }\n',
            'null',
            '{"a" : 1.50}',
            JSON.stringify({ [text()]: text() }),
          ]),
          reviewHistory: one([null, '[]', '-5', '[\n{"a": "x\u2028\\ud800"}\n]', JSON.stringify([text()])]),
          turnTokens: one([null, '[3, 0, 5]', '[null,1.5]']),
          turns,
        },
        view(),
      );
    },
  };
}

const loaded = Object.fromEntries(
  await Promise.all(formatNames.map(async (name) => [name, await formats[name].load()] as const)),
) as Record<FormatName, Format>;

describe.each(formatNames)('format %s', (name) => {
  const ours = (conversations: readonly Conversation[], options: EncodeOptions): string =>
    encode(loaded[name], conversations, options).text;

  it(`writes the same bytes as the plain encoder for ${CONVERSATIONS} random conversations`, () => {
    const { options, conversation } = generator(SEED);
    for (let count = 0; count < CONVERSATIONS; count += PER_DOCUMENT) {
      const layout = options();
      const conversations = Array.from({ length: PER_DOCUMENT }, conversation);
      if (ours(conversations, layout) === PLAIN[name](conversations, layout)) continue;
      // Which one it is says more than two long documents.
      for (const one of conversations) expect(ours([one], layout)).toBe(PLAIN[name]([one], layout));
      expect(ours(conversations, layout)).toBe(PLAIN[name](conversations, layout));
    }
  });

  it('writes the same bytes as the plain encoder for the fixtures', () => {
    const conversations = fixtureLines().map(fromLine);
    expect(ours(conversations, DEFAULT_ENCODING)).toBe(PLAIN[name](conversations, DEFAULT_ENCODING));
  });

  it.skipIf(!hasData)('writes the same bytes as the plain encoder for real conversations', () => {
    for (const file of FILES) {
      const conversations = gunzipSync(readFileSync(new URL(file, DATA)))
        .toString('utf8')
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => fromLine(JSON.parse(text) as FixtureLine));
      const everything = { ...DEFAULT_ENCODING, includeApprovalHistory: true, includeParentReferences: true };
      expect(ours(conversations, everything) === PLAIN[name](conversations, everything), file).toBe(true);
    }
  });
});

describe('CSV', () => {
  it('counts the same cells as the plain encoder', () => {
    const { options, conversation } = generator(SEED + 1);
    for (let count = 0; count < 2_000; count += PER_DOCUMENT) {
      const layout = options();
      const conversations = Array.from({ length: PER_DOCUMENT }, conversation);
      const long = aConversation({ title: `=${'é'.repeat(32_766)}`, topic: 'é'.repeat(32_767) });
      const { guarded, long: cut } = csvDocument([...conversations, long], layout);
      const { notes } = encode(loaded.csv, [...conversations, long], layout);
      expect(Object.values(notes)).toEqual([guarded, cut].filter((count) => count > 0));
    }
  });
});
