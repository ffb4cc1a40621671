import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import { markdown } from '../../src/formats/markdown.js';
import { writeFlatHeading, writeQuotation } from '../../src/formats/markdown-text.js';
import { contentOptions } from '../support/content-options.js';
import { aConversation, FULL, HOSTILE_TEXTS } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';
import { encode } from './encode.js';
import { asHeldBy, readMarkdown } from './readers.js';

function written(write: (out: ByteWriter, text: Text) => void, text: string): string {
  const out = new ByteWriter();
  write(out, Text.of(text));
  return out.view().toString('utf8');
}

/** Text made of what Markdown acts on, in any order. */
function markdownLike(maxPieces = 12): fc.Arbitrary<string> {
  const letters = fc.constantFrom(
    ...'\\`*_[]()<>&!#-+=|~:$^{}"\'/.;0123 \t\n\n\n\r\u00a0\ufeff\u2028\u0085aé'.split(''),
  );
  const words = fc.constantFrom(
    '```',
    '~~~',
    '---',
    '***',
    '===',
    '1. ',
    '2) ',
    '- ',
    '> ',
    '# ',
    '    ',
    '  \n',
    '\\\n',
    '\n\n',
    '\n\n\n',
    '&amp;',
    '&#32;',
    '&#10;',
    '<b>',
    '<!--',
    '-->',
    '<?x?>',
    '<![CDATA[',
    '</div>',
    '<script>',
    'https://a.b/_c_',
    '[a]: b',
    '[a](b)',
    '![a](b)',
    '<a@b.c>',
    '| a | b |\n|---|:-:|',
    '~~a~~',
    '$a$',
    '$$',
    '**a**',
    '_a_',
    '`a`',
  );
  return fc.array(fc.oneof(letters, words), { maxLength: maxPieces }).map((pieces) => pieces.join(''));
}

const turnsOf = (...texts: string[]) => texts.map((text) => `user: ${text}`);

describe('a conversation', () => {
  it('has the shape of the requirements', () => {
    expect(
      encode(markdown, [aConversation(FULL), aConversation({ turns: turnsOf('one\n\ntwo\nthree') })]).text,
    ).toBe(
      `# Conversation: A title

**Metadata:**

- ID: conversation-full
- Tier: template
- Quality Score: 8.5
- Created: 2025-10-29

## Conversation

**System:**

> Be kind.

**User:**

> What is a bond?

**Assistant:**

> A loan to an issuer.

---

# Conversation: Untitled

**Metadata:**

- ID: conversation-1

## Conversation

**User:**

> one
> ${''}
> two
> three
`,
    );
  });

  it('shows exactly the parts of every combination of flags', () => {
    for (const content of contentOptions()) {
      const { text } = encode(markdown, [aConversation(FULL)], content);
      const [conversation] = readMarkdown(text);
      const shown = (flag: boolean, ...bullets: string[]): string[] =>
        content.includeMetadata && flag ? bullets : [];
      expect(conversation?.bullets).toEqual([
        ...shown(true, 'ID: conversation-full', 'Tier: template'),
        ...shown(content.includeQualityScores, 'Quality Score: 8.5'),
        ...shown(content.includeTimestamps, 'Created: 2025-10-29'),
        ...shown(content.includeParentReferences, 'Parent ID: parent-1', 'Parent Type: scenario'),
        ...shown(content.includeApprovalHistory, 'Review History: [{"action":"approved","by":"ann"}]'),
      ]);
      expect(text.includes('**Metadata:**')).toBe(content.includeMetadata);
      expect(text.includes('## Conversation\n')).toBe(content.includeFullContent);
      expect(conversation?.turns).toHaveLength(content.includeFullContent ? 3 : 0);
    }
  });

  it('has no bullet for what is absent, no number and no time', () => {
    const { text } = encode(markdown, [aConversation({ qualityScore: 'NaN', createdAt: 'infinity' })]);
    expect(readMarkdown(text)[0]?.bullets).toEqual(['ID: conversation-1']);
  });

  it('keeps title, bullets and roles on their lines, as text', () => {
    fc.assert(
      fc.property(fc.oneof(markdownLike(), hostileStrings(4)), (text) => {
        const flat = asHeldBy('markdown', text)
          .replaceAll(/[\s\u0085]+/g, ' ')
          .trim();
        const document = encode(markdown, [
          aConversation({ ...FULL, title: text, conversationId: text, tier: text }),
        ]).text;
        const [conversation, ...others] = readMarkdown(document);
        expect(others).toEqual([]);
        expect(conversation?.title).toBe(flat === '' ? 'Untitled' : flat);
        expect(conversation?.bullets.slice(0, 2)).toEqual([`ID: ${flat}`.trim(), `Tier: ${flat}`.trim()]);
        expect(conversation?.turns).toHaveLength(3);
      }),
      { numRuns: 500 },
    );
  });

  it('does not lose a closing run of number signs in a title', () => {
    expect(written(writeFlatHeading, 'C #')).toBe('C \\#');
    expect(readMarkdown(encode(markdown, [aConversation({ title: 'a ###' })]).text)[0]?.title).toBe('a ###');
  });
});

describe('the text of a turn', () => {
  const roundTrip = (...texts: string[]): string[] | undefined =>
    readMarkdown(encode(markdown, [aConversation({ turns: turnsOf(...texts) })]).text)[0]?.turns.map(
      ({ content }) => content,
    );

  it('comes back from a CommonMark parser, and nothing of it gets out of its quotation', () => {
    const corpus = [
      '# a',
      '####### a',
      '> a',
      '- a',
      '+ a',
      '* a',
      '1. a',
      '12) a',
      '1234567890. a',
      '---',
      '- - -',
      '***',
      '___',
      'a\n---',
      'a\n===',
      'a\n=',
      'a\n-',
      '    code',
      '\tcode',
      '```\ncode\n```',
      '~~~',
      '<div>',
      '<!-- a',
      '<a@b.c>',
      'a  \nb',
      'a\\\nb',
      'a\\',
      'a ',
      ' a',
      '\ta\t',
      'a \n b',
      'a \n\n b',
      '\n',
      '\n\n',
      '\n\n\na',
      'a\n',
      'a\n\n\n',
      'a\n\nb',
      'a\n\n\nb',
      'a\n\n\n\nb',
      'a\n \nb',
      ' ',
      '  ',
      '\t',
      ' \n ',
      'a\r\nb',
      'a\rb',
      'a\u2028b',
      '\u0085a\u0085',
      '[a]: b\n\n[a]',
      '[a](b)',
      '![a](b)',
      '&amp; & &x; &#32;',
      '`a` ``b',
      '**a** _b_ a_b __c__',
      '~~a~~',
      'a | b\n--|--',
      '\\& \\# \\a \\\\',
      '\\\u0001',
      '\u00a0a\u00a0',
      '\ufeffa\ufeff',
      '$a$ and $5 and $10',
      '',
      'a',
      ...HOSTILE_TEXTS,
    ];
    for (const text of corpus) expect(roundTrip(text)).toEqual([asHeldBy('markdown', text)]);
    expect(roundTrip(...corpus)).toEqual(corpus.map((text) => asHeldBy('markdown', text)));
  });

  it('comes back whatever it is made of', () => {
    fc.assert(
      fc.property(fc.oneof(markdownLike(), hostileStrings(5)), markdownLike(), (first, second) => {
        expect(roundTrip(first, second)).toEqual([first, second].map((text) => asHeldBy('markdown', text)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is quoted line by line, and left alone where Markdown has no say', () => {
    const text = 'It cost $6,000 at 24 % (snake_case, a < b & c) - fine.\n\nReally: "yes" #1!';
    expect(written(writeQuotation, text)).toBe(`> ${text.replaceAll('\n', '\n> ')}\n`);
  });

  it('starts every line with the sign of a quotation, at any kind of line break', () => {
    const { text } = encode(markdown, [
      aConversation({ turns: turnsOf('a\rb\r\nc\u2028d\u2029e\n\n\nf\vg\fh\n') }),
    ]);
    const lines = text.slice(text.indexOf('**User:**\n\n') + 11).split(/[\n\r\u2028\u2029\v\f]/);
    expect(lines.pop()).toBe('');
    expect(lines.every((line) => line.startsWith('> '))).toBe(true);
  });

  it('takes time in proportion to its length, for runs of any letter', () => {
    for (const letter of [
      '-',
      '=',
      '#',
      '\\',
      '`',
      '_',
      '$',
      '&',
      ' ',
      '\t',
      '\n',
      '|',
      '>',
      '1',
      "'",
      '\r',
    ]) {
      const text = `${letter.repeat(250_000)}x`;
      expect(written(writeQuotation, text).length).toBeLessThan(8 * text.length);
      expect(written(writeFlatHeading, text).length).toBeLessThan(8 * text.length);
    }
  });
});

it('is empty when there are no conversations', () => {
  expect(encode(markdown, []).text).toBe('');
});
