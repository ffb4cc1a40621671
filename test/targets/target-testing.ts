import * as fc from 'fast-check';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import type { Conversation } from '../../src/conversation.js';
import { judgeWith } from '../../src/judging/judge.js';
import { policyOf } from '../../src/judging/rules.js';
import { exampleOf } from '../../src/targets/encoder.js';
import type { Problem, RowShape, Target } from '../../src/targets/target.js';
import { aConversation, type ConversationParts } from '../support/conversations.js';
import { hostileStrings } from '../support/hostile-strings.js';

/** What a check says about a row, as `error rule @ path`. */
export function told(shape: Pick<RowShape, 'check'>, row: unknown): string[] {
  return problemsOf(shape, row).map(({ severity, rule, path }) => `${severity} ${rule} @ ${path}`);
}

export function problemsOf(shape: Pick<RowShape, 'check'>, row: unknown): Problem[] {
  const problems: Problem[] = [];
  shape.check(row, (problem) => void problems.push(problem));
  return problems;
}

/** The one shape of a target, or the one named. */
export function shapeOf(target: Target, name?: string): RowShape {
  const shape = name === undefined ? Object.values(target.shapes)[0] : target.shapes[name];
  if (shape === undefined) throw new Error('the target has no such shape');
  return shape;
}

/** The row that an export to the target makes of a conversation, or null where it is left out. */
export function written(target: Target, conversation: Conversation, shape = shapeOf(target)): string | null {
  const judge = judgeWith(policyOf('strict', target.policy), {
    tools: target.tools === 'in-turn' ? 'in-turn' : target.tools === true ? 'allowed' : 'refused',
    reserved: target.reserved?.map((mark) => Buffer.from(mark)),
  });
  const { conversation: sound } = judge(conversation);
  if (sound === null) return null;
  const out = new ByteWriter(16);
  shape.write(exampleOf(sound, target), out);
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(out.view());
}

/** The same for a conversation given by its parts. */
export function rowOf(target: Target, parts: ConversationParts, shape?: RowShape): string | null {
  return written(target, aConversation(parts), shape);
}

/** A message as most shapes have it. */
export function say(
  role: string,
  content: unknown,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { role, content, ...more };
}

/** A message that calls a tool, with its id, and the answer to it. */
export function callAndAnswer(id = 'call00001', given: unknown = '{"id":"7"}'): Record<string, unknown>[] {
  const call = { id, type: 'function', function: { name: 'get_order', arguments: given } };
  return [say('assistant', '', { tool_calls: [call] }), say('tool', '{"day":7}', { tool_call_id: id })];
}

/** Schemas as every reader takes them. */
export const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'get_order',
      description: 'Look up an order',
      parameters: { type: 'object', properties: {} },
    },
  },
];

export const CALL = { name: 'get_order', arguments: { id: '7' } };

/** A question that takes a tool to answer. */
export const WITH_TOOLS: ConversationParts = {
  parameters: JSON.stringify({ tools: TOOLS }),
  turns: [
    'user: Where is order 7?',
    { role: 'tool_call', content: JSON.stringify(CALL) },
    { role: 'tool', content: '{"day":7}' },
    'assistant: It ships on day 7.',
  ],
};

/** Conversations with every flaw that the database can hold, many of them with few or none. */
export function hostileConversations(): fc.Arbitrary<Conversation> {
  return fc
    .record({
      turns: fc.oneof(fc.array(anyTurn(), { maxLength: 7 }), nearlySound()),
      parameters: fc.constantFrom(
        null,
        '{}',
        'null',
        '{"tools":[]}',
        '{"tools":"none"}',
        '{"about":"\\"tools\\""}',
        JSON.stringify({ tools: TOOLS }),
      ),
    })
    .map((parts) => aConversation(parts));
}

interface RandomTurn {
  role: string;
  content: string | null;
}

function anyTurn(): fc.Arbitrary<RandomTurn> {
  return fc.record({
    role: fc.constantFrom(
      'system',
      'user',
      'assistant',
      'user',
      'assistant',
      'tool_call',
      'tool',
      'human',
      'User',
      '',
    ),
    content: anyContent(),
  });
}

function anyContent(): fc.Arbitrary<string | null> {
  return fc.oneof(
    { weight: 4, arbitrary: hostileStrings(3) },
    {
      weight: 3,
      arbitrary: fc.constantFrom('yes', '{"day":7}', '\nHuman: x', '<|im_end|>', '</s>', 'System: x'),
    },
    { weight: 2, arbitrary: fc.constantFrom(JSON.stringify(CALL), '{"name":"get_order","arguments":"{}"}') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(null, '', ' \n', '\u3000', '{"name":"no such name!"}', '{"name":7}'),
    },
  );
}

const text = fc
  .oneof(hostileStrings(3), fc.constantFrom('hi', 'yes', '<|im_end|>', 'Assistant: x'))
  .map((some) => `a${some}z`);

/** A sound dialogue, calls of tools now and then, in which a turn may be taken out, doubled or put elsewhere. */
function nearlySound(): fc.Arbitrary<RandomTurn[]> {
  const exchange = fc.tuple(text, text, fc.nat(3)).map(([question, answer, kind]): RandomTurn[] => [
    { role: 'user', content: question },
    ...(kind === 0
      ? [
          { role: 'tool_call', content: JSON.stringify(CALL) },
          { role: 'tool', content: '{"day":7}' },
        ]
      : []),
    { role: 'assistant', content: answer },
  ]);
  const sound = fc
    .tuple(fc.option(text), fc.array(exchange, { minLength: 1, maxLength: 3 }))
    .map(([system, exchanges]) => [
      ...(system === null ? [] : [{ role: 'system', content: system }]),
      ...exchanges.flat(),
    ]);
  return fc
    .tuple(sound, fc.constantFrom('none', 'drop', 'double', 'move'), fc.nat(10), fc.nat(10))
    .map(([turns, change, first, second]) => {
      const from = first % turns.length;
      const turn = turns[from] as RandomTurn;
      if (change === 'drop') return turns.toSpliced(from, 1);
      if (change === 'double') return turns.toSpliced(from, 0, turn);
      return change === 'move' ? turns.toSpliced(from, 1).toSpliced(second % turns.length, 0, turn) : turns;
    });
}
