import { spawnSync } from 'node:child_process';
import { Parser, type Node } from 'commonmark';

import type { FormatName } from '../../src/formats/index.js';

/** A reader of each format that shares nothing with its encoder: the contents of all turns, by conversation. */
export const READERS: Record<FormatName, (document: string) => string[][]> = {
  jsonl: (document) =>
    document
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const { messages } = JSON.parse(line) as { messages: { content: string }[] };
        return messages.map(({ content }) => content);
      }),
  json: (document) => {
    const { conversations } = JSON.parse(document) as { conversations: { turns: { content: string }[] }[] };
    return conversations.map(({ turns }) => turns.map(({ content }) => content));
  },
  csv: (document) => {
    const [header = [], ...rows] = readCsv(document.replace(/^\ufeff/, ''));
    const number = header.indexOf('turn_number');
    const content = header.indexOf('content');
    const conversations: string[][] = [];
    for (const row of rows) {
      if (row[number] === '1') conversations.push([]);
      conversations.at(-1)?.push(unguarded(row[content] ?? ''));
    }
    return conversations;
  },
  markdown: (document) => readMarkdown(document).map(({ turns }) => turns.map(({ content }) => content)),
};

/** What a format makes of a text that it cannot hold. */
export function asHeldBy(format: FormatName, text: string): string {
  return format === 'markdown' ? text.replaceAll('\0', '\ufffd') : text;
}

/** Rows and cells by the grammar of RFC 4180; an absent value is null, an empty text in quotes is not. */
export function readCsv(document: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  let index = 0;
  const endOf = (next: string): void => {
    if (next === ',') return;
    if (next !== '\n' && next !== '') throw new Error(`A cell ends in ${JSON.stringify(next)}.`);
    rows.push(row);
    row = [];
  };
  while (index < document.length) {
    if (document[index] === '"') {
      let cell = '';
      for (;;) {
        const quote = document.indexOf('"', index + 1);
        if (quote < 0) throw new Error('A quotation has no end.');
        cell += document.slice(index + 1, quote);
        index = quote;
        if (document[quote + 1] !== '"') break;
        cell += '"';
        index = quote + 1;
      }
      row.push(cell);
      index++;
    } else {
      const start = index;
      while (index < document.length && document[index] !== ',' && document[index] !== '\n') {
        if (document[index] === '"' || document[index] === '\r') throw new Error('A cell should be quoted.');
        index++;
      }
      row.push(start === index ? null : document.slice(start, index));
    }
    endOf(document[index] ?? '');
    index++;
  }
  return rows;
}

/** Undoes the guard by the documented rule, written anew: one apostrophe before what may run. */
export function unguarded(cell: string): string {
  if (!cell.startsWith("'")) return cell;
  const rest = Array.from(cell.slice(1));
  const first = rest.find(
    (letter) => '=+-@\t\r\n＝＋－＠'.includes(letter) || !/[\s\p{Cc}\p{Cf}'"]/u.test(letter),
  );
  return first !== undefined && '=+-@\t\r\n＝＋－＠'.includes(first) ? cell.slice(1) : cell;
}

export interface MarkdownConversation {
  title: string;
  bullets: string[];
  turns: { role: string; content: string }[];
}

/**
 * What a CommonMark parser sees. It throws at anything that an export never writes: a block quote that holds more than
 * paragraphs of plain text, a link, HTML, a heading of another level.
 */
export function readMarkdown(document: string): MarkdownConversation[] {
  const conversations: MarkdownConversation[] = [];
  let label = '';
  for (const block of children(new Parser().parse(document))) {
    const current = conversations.at(-1);
    switch (block.type) {
      case 'heading':
        if (block.level === 1) {
          const title = plainText(block);
          if (!title.startsWith('Conversation: ')) throw new Error(`A heading says ${title}.`);
          conversations.push({ title: title.slice('Conversation: '.length), bullets: [], turns: [] });
        } else if (plainText(block) !== 'Conversation') throw new Error('A heading of the text got out.');
        break;
      case 'paragraph': {
        const [strong, ...rest] = children(block);
        if (strong?.type !== 'strong' || rest.length > 0) throw new Error('A paragraph got out.');
        label = plainText(strong).replace(/:$/, '');
        break;
      }
      case 'list':
        current?.bullets.push(...children(block).map((item) => children(item).map(plainText).join('\n')));
        break;
      case 'block_quote':
        current?.turns.push({ role: label, content: quotedText(block) });
        break;
      case 'thematic_break':
        break;
      default:
        throw new Error(`A ${block.type} got out.`);
    }
  }
  return conversations;
}

function quotedText(quote: Node): string {
  return children(quote)
    .map((block) => {
      if (block.type !== 'paragraph') throw new Error(`A ${block.type} is in a quotation.`);
      return plainText(block);
    })
    .join('\n\n');
}

function plainText(block: Node): string {
  return children(block)
    .map((node) => {
      if (node.type === 'softbreak' || node.type === 'linebreak') return '\n';
      if (node.type !== 'text') throw new Error(`A ${node.type} is in plain text.`);
      return node.literal ?? '';
    })
    .join('');
}

function children(node: Node): Node[] {
  const found: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.next) found.push(child);
  return found;
}

export const hasPython = spawnSync('python3', ['-c', 'import csv, json']).status === 0;
if (!hasPython) {
  process.stderr.write('SKIPPED: python3 is missing, so formats are not read back with its csv and json.\n');
}

/** Runs a script that reads the document on standard input and prints JSON. */
export function readWithPython(script: string, document: string): unknown {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], {
    input: document,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
