import { spawnSync } from 'node:child_process';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { Text } from '../../src/bytes/text.js';
import type { Conversation } from '../../src/conversation.js';
import { targetEncoder } from '../../src/targets/encoder.js';
import { targets } from '../../src/targets/all.js';
import { targetNames } from '../../src/targets/index.js';
import type { Preference, Target } from '../../src/targets/target.js';
import { aConversation, FULL, HOSTILE_TEXTS, viewsIntoOneBuffer } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';
import {
  hostileConversations,
  problemsOf,
  rowOf,
  shapeOf,
  told,
  WITH_TOOLS,
  written,
} from './target-testing.js';

const hasPython = spawnSync('python3', ['--version']).status === 0;

const shapes = targetNames.flatMap((name) =>
  Object.keys(targets[name].shapes).map((shape): [string, string, Target] => [name, shape, targets[name]]),
);
const preferences = targetNames.flatMap((name) => {
  const target: Target = targets[name];
  return Object.keys(target.preferences ?? {}).map((shape): [string, string, Target] => [
    name,
    shape,
    target,
  ]);
});

function documentOf(target: Target, shape: string, turns: readonly string[][]): Buffer {
  const out = new ByteWriter(16);
  const encoder = targetEncoder(target, shapeOf(target, shape));
  encoder.begin(out, null);
  for (const texts of turns) encoder.conversation(aConversation({ turns: texts }), out);
  encoder.end(out);
  return Buffer.from(out.view());
}

describe.each(targetNames)('target %s', (name) => {
  const target: Target = targets[name];

  it('says in one line what it is', () => {
    expect(target.summary).toMatch(/^\S[^\n]{5,78}\S$/);
  });

  it('says when its rules were held against their sources, and names these', () => {
    expect(target.asOf).toMatch(/^20\d\d-(0[1-9]|1[0-2])$/);
    expect(target.sources.length).toBeGreaterThan(0);
    for (const source of target.sources) expect(source).toMatch(/^[\w.-]+\/\S+|#\d+/);
  });

  it('has a shape, of conversations or of pairs', () => {
    expect(Object.keys(target.shapes).length + Object.keys(target.preferences ?? {}).length).toBeGreaterThan(
      0,
    );
  });

  it('has limits that a file can keep', () => {
    const { minRows = 1, maxRows = Infinity, maxBytes = Infinity, maxTokens = Infinity } = target.limits;
    expect(minRows).toBeGreaterThanOrEqual(1);
    expect(maxRows).toBeGreaterThan(minRows);
    expect(maxBytes).toBeGreaterThan(1024 * 1024);
    expect(maxTokens).toBeGreaterThan(1024);
  });

  it('gives advice, if any, that names the file of the run', () => {
    for (const shape of [...Object.keys(target.shapes), ...Object.keys(target.preferences ?? {})]) {
      const advice = target.advice?.('a "file" of ours.jsonl', shape) ?? null;
      if (advice !== null) expect(advice).toMatch(/^\S[^\n]*\S$/);
    }
  });
});

describe.each(shapes)('target %s, shape %s', (_name, shapeName, target) => {
  const shape = shapeOf(target, shapeName);

  it('starts a file with a byte order mark if its readers want one, and with nothing else', () => {
    expect(documentOf(target, shapeName, [])).toEqual(Buffer.from(target.bom === true ? '\ufeff' : ''));
  });

  it.each([1, 2, 250])('writes %i conversations as one line each, without any blank line', (count) => {
    const turns = Array.from({ length: count }, (_, index) => [
      `user: question ${index}`,
      `assistant: answer ${index}`,
    ]);
    const document = documentOf(target, shapeName, turns)
      .toString('utf8')
      .replace(/^\ufeff/, '');
    const lines = document.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines).toHaveLength(count);
    for (const [index, line] of lines.entries()) {
      expect(line).toContain(`"question ${index}"`);
      expect(line).toContain(`"answer ${index}"`);
      expect(problemsOf(shape, JSON.parse(line))).toEqual([]);
    }
  });

  it('writes the same bytes for texts inside one large buffer as for texts of their own', () => {
    for (const text of HOSTILE_TEXTS) {
      const parts = { ...FULL, turns: ['system: Be kind.', `user: a${text}`, `assistant: b${text}z`] };
      expect(written(target, aConversation(parts, viewsIntoOneBuffer()), shape)).toEqual(
        written(target, aConversation(parts), shape),
      );
    }
  });

  it('writes neither names nor metadata of a conversation', () => {
    const row = rowOf(target, FULL, shape);
    for (const text of [
      FULL.id,
      FULL.conversationId,
      FULL.title,
      FULL.persona,
      FULL.parentId,
      '512',
      '0.7',
    ]) {
      expect(row).not.toContain(text);
    }
  });

  it('writes tools for the targets that know them, and leaves such conversations out for the others', () => {
    const row = rowOf(target, WITH_TOOLS, shape);
    if (target.tools !== undefined && target.tools !== false) {
      expect(row).toContain('get_order');
      expect(problemsOf(shape, JSON.parse(row ?? ''))).toEqual([]);
    } else {
      expect(row).toBeNull();
      expect(rowOf(target, { parameters: WITH_TOOLS.parameters ?? null }, shape)).not.toContain('get_order');
    }
  });

  it('finds nothing wrong in what it writes of the worst conversations', () => {
    let rows = 0;
    fc.assert(
      fc.property(hostileConversations(), (conversation) => {
        fc.pre(toolsAreInPlace(conversation));
        const row = written(target, conversation, shape);
        if (row === null) return;
        rows++;
        expect(row.indexOf('\n')).toBe(row.length - 1);
        expect(row).not.toMatch(/[\u0085\u2028\u2029]/);
        const errors = problemsOf(shape, JSON.parse(row)).filter(({ severity }) => severity === 'error');
        expect(errors).toEqual([]);
      }),
      { numRuns: 400 },
    );
    expect(rows).toBeGreaterThan(20);
  });

  it('checks any JSON at all without failing, and finds something wrong in it', () => {
    fc.assert(
      fc.property(strangeRow(shape), (row) => {
        for (const { rule, path, message, fix } of problemsOf(shape, row)) {
          expect(rule).toMatch(/^[a-z]+(-[a-z]+)*$/);
          expect(`${path}${message}${fix}`).not.toMatch(/\p{Cc}/u);
          expect(message.length).toBeGreaterThan(8);
          expect(fix.length).toBeGreaterThan(4);
        }
      }),
      { numRuns: 300 },
    );
    for (const row of [null, true, 7, 'text', [], [{}], {}]) {
      expect(told(shape, row).filter((line) => line.startsWith('error '))).not.toEqual([]);
    }
  });
});

/** The checks do not look at what stands before a call and after an answer; readers do. */
function toolsAreInPlace({ turns }: Conversation): boolean {
  const roles = turns
    .filter(
      ({ role, content }) => role !== 'system' && (role !== 'user' || content?.toString().trim() !== ''),
    )
    .map(({ role }) => role);
  return roles.every((role, index) => {
    if (role === 'tool') return [undefined, 'assistant', 'tool_call'].includes(roles[index + 1]);
    return role !== 'tool_call' || ['user', 'tool'].includes(roles[index - 1] ?? '');
  });
}

/** Any JSON; and rows of the shape in which one value was put in the place of another. */
function strangeRow(shape: { write: Target['shapes'][string]['write'] }): fc.Arbitrary<unknown> {
  const out = new ByteWriter();
  shape.write(
    {
      system: Text.of('s'),
      messages: [
        { role: 'user', content: Text.of('u') },
        { role: 'assistant', content: Text.of('a') },
      ],
      tools: null,
    },
    out,
  );
  const sound = out.view().toString('utf8');
  const junk = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    hostileStrings(2),
    fc.constantFrom('__proto__', 'constructor', 'tool'),
  );
  const damaged = fc.tuple(fc.nat(40), junk).map(([place, value]) => {
    let index = 0;
    return JSON.parse(sound, (_key, old: unknown) => (index++ === place ? value : old)) as unknown;
  });
  return fc.oneof(junk, damaged);
}

describe.runIf(preferences.length > 0).each(preferences)(
  'target %s, pairs as %s',
  (_name, shapeName, target) => {
    const shape = target.preferences?.[shapeName];

    it('writes a pair as one line in which its own check finds nothing wrong', () => {
      const preference: Preference = {
        prompt: {
          system: Text.of('Be kind.'),
          messages: [{ role: 'user', content: Text.of('hi') }],
          tools: null,
        },
        chosen: Text.of('hello'),
        rejected: Text.of('no'),
      };
      const out = new ByteWriter(16);
      shape?.write(preference, out);
      const row = out.view().toString('utf8');
      expect(row.indexOf('\n')).toBe(row.length - 1);
      const problems: unknown[] = [];
      shape?.check(JSON.parse(row), (problem) => void problems.push(problem));
      expect(problems).toEqual([]);
    });
  },
);

it.skipIf(!hasPython)('writes rows that Python reads as the same values', () => {
  const texts = fc.sample(hostileStrings(), { numRuns: 50, seed: 7 });
  for (const [name, shape, target] of shapes) {
    const turns = [...HOSTILE_TEXTS, ...texts].map((text) => [`user: a${text}`, `assistant: b${text}z`]);
    const document = documentOf(target, shape, turns);
    const script =
      'import sys, json\n' +
      "lines = sys.stdin.buffer.read().decode('utf-8-sig').split('\\n')\n" +
      "assert lines.pop() == ''\n" +
      'print(json.dumps([json.loads(line) for line in lines]))';
    const { stdout, status, stderr } = spawnSync('python3', ['-c', script], { input: document });
    expect(`${name} ${status} ${stderr.toString()}`).toBe(`${name} 0 `);
    const ours = document
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .split('\n')
      .slice(0, -1);
    expect(JSON.parse(stdout.toString())).toEqual(ours.map((line) => JSON.parse(line) as unknown));
  }
});
