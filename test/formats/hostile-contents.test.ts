import { describe, expect, it } from 'vitest';

import { formatNames, formats, type FormatName } from '../../src/formats/index.js';
import { aConversation, FULL } from '../support/conversations.js';
import { encode } from './encode.js';
import { HOSTILE_CONTENTS } from './hostile-contents.js';
import { asHeldBy, hasPython, READERS, readWithPython, unguarded } from './readers.js';

const texts = HOSTILE_CONTENTS.map(([text]) => text);

/** The text is question, answer and everything around them. */
const conversations = texts.map((text) =>
  aConversation({
    ...FULL,
    conversationId: text,
    title: text,
    tier: text,
    persona: text,
    topic: text,
    reviewHistory: JSON.stringify([{ note: text }]),
    parameters: JSON.stringify({ [text]: text }),
    turns: [`user: ${text}`, `assistant: ${text}`],
  }),
);

/** Prints the contents of all turns, by conversation; what the csv module reads is still guarded. */
const PYTHON: Readonly<Partial<Record<FormatName, string>>> = {
  jsonl: `
import json, sys
rows = [json.loads(line) for line in sys.stdin.buffer.read().decode("utf-8").splitlines()]
json.dump([[m["content"] for m in r["messages"]] for r in rows], sys.stdout)`,
  json: `
import json, sys
document = json.loads(sys.stdin.buffer.read().decode("utf-8"))
json.dump([[t["content"] for t in c["turns"]] for c in document["conversations"]], sys.stdout)`,
  csv: `
import csv, io, json, sys
csv.field_size_limit(10**9)
text = sys.stdin.buffer.read().decode("utf-8-sig")
found = []
for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
    if row["turn_number"] == "1": found.append([])
    found[-1].append(row["content"])
json.dump(found, sys.stdout)`,
};

it('has at least 200 texts, each of them once', () => {
  expect(texts.length).toBeGreaterThanOrEqual(200);
  expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([]);
});

describe.each(formatNames)('as %s', async (name) => {
  const { text: document } = encode(await formats[name].load(), conversations);
  const expected = texts.map((text) => Array.from({ length: 2 }, () => asHeldBy(name, text)));

  it('every hostile content comes back as it was', () => {
    const found = READERS[name](document);
    expect(found).toHaveLength(expected.length);
    // One by one: the difference of two whole documents helps nobody.
    for (const [index, turns] of expected.entries()) expect(found[index]).toEqual(turns);
  });

  const script = PYTHON[name];
  it.runIf(hasPython && script !== undefined)('every hostile content comes back as it was, to Python', () => {
    const found = readWithPython(script ?? '', document) as string[][];
    expect(found).toHaveLength(expected.length);
    for (const [index, turns] of expected.entries()) {
      expect(name === 'csv' ? found[index]?.map(unguarded) : found[index]).toEqual(turns);
    }
  });
});
