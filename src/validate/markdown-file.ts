import { isUtf8 } from 'node:buffer';
import { problems } from '../targets/row-checks.js';
import { withoutBom } from './byte-order-mark.js';
import type { FileCheck } from './file-check.js';
import type { FileRules } from './file-rules.js';
import { createLineSplitter } from './line-splitter.js';
import type { Locate } from './problem-log.js';

const TITLE = /^# Conversation:/;
const SPEAKER = /^\*\*.+:\*\*$/;

/** Markdown as the export writes it: titles, metadata, speakers, each of them with a quote. */
export function checkMarkdownFile(locate: Locate, rules: FileRules, maxLineBytes: number): FileCheck {
  let conversations = 0;
  let isOther = false;
  /** The line of a speaker who has said nothing yet. */
  let silent: number | null = null;
  let state: 'outside' | 'title' | 'metadata' | 'turns' | 'quote' = 'outside';

  const endTurn = (): void => {
    if (silent === null) return;
    const { error } = problems((problem) => locate(problem, silent));
    error(
      'missing-content',
      '',
      'no quote follows the name of the speaker',
      'Start each line of what was said with "> ".',
    );
    silent = null;
  };

  const checkText = (text: string, line: number): void => {
    const { error } = problems((problem) => locate(problem, line));
    if (text.startsWith('>')) {
      if (state !== 'quote' && silent === null) {
        error(
          'unexpected-line',
          '',
          'a quote stands where nobody speaks',
          'Put **User:** or **Assistant:** above it.',
        );
      }
      silent = null;
      if (state === 'turns') state = 'quote';
      return;
    }
    if (text.trim() === '') return;
    endTurn();
    if (TITLE.test(text)) {
      conversations += 1;
      state = 'title';
    } else if (text === '---') {
      state = 'outside';
    } else if (text === '**Metadata:**' && state === 'title') {
      state = 'metadata';
    } else if (text.startsWith('- ') && state === 'metadata') {
      // A bullet may hold anything.
    } else if (text === '## Conversation' && (state === 'title' || state === 'metadata')) {
      state = 'turns';
    } else if (SPEAKER.test(text) && (state === 'turns' || state === 'quote')) {
      state = 'turns';
      silent = line;
    } else {
      error(
        'unexpected-line',
        '',
        'the line does not belong to the structure of an export',
        'Start each line of what was said with "> ".',
      );
    }
  };

  const splitter = createLineSplitter(maxLineBytes, ({ number, bytes: whole }) => {
    if (isOther) return;
    const { error } = problems((problem) => locate(problem, number));
    const bytes = number === 1 && whole !== null ? withoutBom(whole, rules, locate) : whole;
    if (whole === null)
      error(
        'line-too-long',
        '',
        `the line is longer than ${maxLineBytes} bytes, and was not read`,
        'Split it.',
      );
    else if (bytes === null) isOther = true;
    else if (!isUtf8(bytes))
      error('not-utf8', '', 'the line is not UTF-8', 'Convert the file, for example with iconv.');
    else checkText(bytes.toString('utf8').replace(/\r$/, ''), number);
  });

  return {
    write: (bytes) => splitter.write(bytes),
    end() {
      splitter.end();
      endTurn();
      return { rows: conversations, shape: null };
    },
  };
}
