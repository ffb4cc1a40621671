import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { multiSearch, type Found } from '../../../src/cli/wizard/multi-search.js';
import { styleFor } from '../../../src/cli/wizard/style.js';
import { themeOf } from '../../../src/cli/wizard/theme.js';

type Page = { readonly rows: readonly Found<string>[]; readonly hasMore: boolean };

/** A prompt without a terminal: what it asks its source, and what it shows. */
function open() {
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = '';
  output.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  const asked: { term: string; signal: AbortSignal; answer: (names: string[]) => void }[] = [];
  const waiting: (() => void)[] = [];
  const style = styleFor({ env: { NO_COLOR: '1', LANG: 'C.UTF-8' }, platform: 'linux' });
  const chosen = multiSearch<string>(
    {
      message: 'Search',
      memory: { term: '', chosen: new Map() },
      source: (term, signal) =>
        new Promise<Page>((resolve) => {
          const answer = (names: string[]): void =>
            resolve({
              rows: names.map((name) => ({ key: name, value: name, name, detail: '' })),
              hasMore: false,
            });
          asked.push({ term, signal, answer });
          waiting.splice(0).forEach((wake) => wake());
        }),
      columns: 60,
      pageSize: 10,
      style,
      theme: themeOf(style, 79),
    },
    { input, output },
  );
  return {
    asked,
    chosen,
    type: (text: string) => input.write(text),
    /** The question that the source got as the nth. */
    async question(count: number) {
      while (asked.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return asked[count - 1] as (typeof asked)[number];
    },
    async shows(text: string) {
      while (!shown.includes(text)) await new Promise((resolve) => output.once('data', resolve));
    },
    lastScreen: () => shown.slice(shown.lastIndexOf('Search')),
  };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('multiSearch', () => {
  it('asks for the whole text once, not for every letter of it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const prompt = open();
    vi.runAllTimers();
    (await prompt.question(1)).answer(['first']);
    await prompt.shows('first');
    for (let typed = 1; typed <= 'Title 54321'.length; typed++) {
      prompt.type('Title 54321'[typed - 1] ?? '');
      await prompt.shows(`(0 chosen) ${'Title 54321'.slice(0, typed).trimEnd()}`);
      vi.advanceTimersByTime(50);
    }
    expect(prompt.asked.map(({ term }) => term)).toEqual(['']);
    vi.advanceTimersByTime(1_000);
    expect(prompt.asked.map(({ term }) => term)).toEqual(['', 'Title 54321']);
    prompt.type('\r');
    await prompt.chosen;
  });

  it('drops an answer that comes after the text has changed', async () => {
    const prompt = open();
    const first = await prompt.question(1);
    prompt.type('b');
    const second = await prompt.question(2);
    expect(first.signal.aborted).toBe(true);
    expect(second.signal.aborted).toBe(false);
    second.answer(['right']);
    await prompt.shows('right');
    first.answer(['stale']);
    prompt.type('\t');
    await prompt.shows('1 chosen');
    expect(prompt.lastScreen()).not.toContain('stale');
    prompt.type('\r');
    expect([...(await prompt.chosen).keys()]).toEqual(['right']);
  });

  it('keeps what was chosen when something else is searched for', async () => {
    const prompt = open();
    (await prompt.question(1)).answer(['one', 'two']);
    await prompt.shows('two');
    prompt.type('\t');
    await prompt.shows('1 chosen');
    prompt.type('x');
    (await prompt.question(2)).answer(['three']);
    await prompt.shows('three');
    prompt.type('\t');
    await prompt.shows('2 chosen');
    prompt.type('\t\r');
    expect([...(await prompt.chosen).keys()]).toEqual(['one']);
  });
});
