import { describe, expect, it } from 'vitest';

import { pairUp, preferenceKey } from '../../src/preferences/pair-up.js';
import { aConversation, viewsIntoOneBuffer, type ConversationParts } from '../support/conversations.js';

const PARENT = '00000000-0000-4000-8000-0000000000aa';
const approved = aConversation({
  id: '00000000-0000-4000-8000-000000000001',
  parentId: PARENT,
  turns: ['system: s', 'user: Where is order 7?', 'assistant: It ships today.'],
});

function rejected(parts: ConversationParts = {}, answer = 'No idea.') {
  return aConversation({
    id: '00000000-0000-4000-8000-000000000002',
    parentId: PARENT,
    turns: ['system: s', 'user: Where is order 7?', `assistant: ${answer}`],
    ...parts,
  });
}

/** Pairs as `chosen > rejected`, and the reasons of what was left over. */
function outcome(...candidates: ReturnType<typeof rejected>[]) {
  const { preferences, leftOver } = pairUp(approved, candidates);
  return {
    pairs: preferences.map(({ chosen, rejected: other }) => `${chosen.toString()} > ${other.toString()}`),
    leftOver: leftOver.map(({ reason }) => reason),
  };
}

describe('the key of a prompt', () => {
  const key = (...turns: string[]): string => preferenceKey(aConversation({ turns }));

  it('is the same whatever the last answer is, and wherever the bytes lie', () => {
    const view = viewsIntoOneBuffer();
    expect(key('user: a', 'assistant: b')).toBe(key('user: a', 'assistant: c'));
    expect(preferenceKey(aConversation({ turns: ['user: ü', 'assistant: b'] }, view))).toBe(
      key('user: ü', 'assistant: c'),
    );
    expect(key('user: a', 'assistant: b')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differs with any role, text or border between turns', () => {
    const keys = [
      key('user: a', 'assistant: b'),
      key('user: a ', 'assistant: b'),
      key('system: a', 'assistant: b'),
      key('user: a', 'user: b', 'assistant: c'),
      key('user: ab', 'assistant: c'),
      key('user: ', 'user: ab', 'assistant: c'),
      key('user: a4:user1:b', 'assistant: c'),
      key('user: a', 'assistant: b', 'user: c', 'assistant: d'),
      preferenceKey(aConversation({ turns: [{ role: 'user', content: null }, 'assistant: b'] })),
      preferenceKey(aConversation({ turns: [{ role: 'user', content: 'null' }, 'assistant: b'] })),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('a pair is made of', () => {
  it('two conversations with the same parent and prompt', () => {
    const { preferences, leftOver } = pairUp(approved, [rejected()]);
    expect(leftOver).toEqual([]);
    const [{ prompt, chosen, rejected: other }] = preferences as [(typeof preferences)[0]];
    expect([String(chosen), String(other)]).toEqual(['It ships today.', 'No idea.']);
    expect(String(prompt.system)).toBe('s');
    expect(prompt.messages.map(({ role, content }) => `${role}: ${content.toString()}`)).toEqual([
      'user: Where is order 7?',
    ]);
    expect(prompt.tools).toBeNull();
  });

  it('a conversation and its parent, whichever of the two was rejected', () => {
    expect(outcome(rejected({ id: PARENT, parentId: null })).pairs).toHaveLength(1);
    expect(outcome(rejected({ parentId: approved.id })).pairs).toHaveLength(1);
  });

  it('the last answers, with all before them as the prompt', () => {
    const turns = ['user: a', 'assistant: b', 'user: c', 'assistant: d'];
    const { preferences } = pairUp(aConversation({ parentId: PARENT, turns }), [
      aConversation({ parentId: PARENT, turns: [...turns.slice(0, 3), 'assistant: e', 'user: thanks'] }),
    ]);
    expect(
      preferences.map(({ prompt, chosen, rejected: other }) => [
        prompt.messages.length,
        chosen.toString(),
        other.toString(),
      ]),
    ).toEqual([[3, 'd', 'e']]);
  });

  it('each of several rejected conversations', () => {
    expect(outcome(rejected(), rejected({}, 'Ask somebody else.'))).toEqual({
      pairs: ['It ships today. > No idea.', 'It ships today. > Ask somebody else.'],
      leftOver: [],
    });
  });

  it('schemas of tools where the target has a place for them', () => {
    const withTools = {
      ...approved,
      parameters: aConversation({ parameters: '{"tools":[{"name":"rates"}]}' }).parameters,
    };
    expect(String(pairUp(withTools, [rejected()], { tools: true }).preferences[0]?.prompt.tools)).toBe(
      '[{"type":"function","function":{"name":"rates"}}]',
    );
    expect(pairUp(withTools, [rejected()], { tools: false }).preferences[0]?.prompt.tools).toBeNull();
  });
});

describe('left over is', () => {
  it.each<[string, string, ReturnType<typeof rejected>]>([
    ['another parent', 'other-family', rejected({ parentId: '00000000-0000-4000-8000-0000000000bb' })],
    ['no parent', 'other-family', rejected({ parentId: null })],
    [
      'another question',
      'other-prompt',
      rejected({ turns: ['system: s', 'user: Hi', 'assistant: No idea.'] }),
    ],
    [
      'another system prompt',
      'other-prompt',
      rejected({ turns: ['user: Where is order 7?', 'assistant: No idea.'] }),
    ],
    ['the same answer', 'identical-answer', rejected({}, 'It ships today.')],
    ['no answer', 'no-answer', rejected({ turns: ['user: a'] })],
    ['no turn', 'no-answer', rejected({ turns: [] })],
    ['no question', 'no-answer', rejected({ turns: ['assistant: a'] })],
    [
      'an answer that is NULL',
      'no-answer',
      rejected({ turns: ['user: a', { role: 'assistant', content: null }] }),
    ],
    [
      'a question that is NULL',
      'no-answer',
      rejected({ turns: [{ role: 'user', content: null }, 'assistant: a'] }),
    ],
  ])('a conversation with %s, and the approved one without its pair', (_what, reason, candidate) => {
    expect(outcome(candidate)).toEqual({ pairs: [], leftOver: ['no-pair', reason] });
  });

  it('a second conversation with the same rejected answer', () => {
    expect(outcome(rejected(), rejected())).toEqual({
      pairs: ['It ships today. > No idea.'],
      leftOver: ['repeated-answer'],
    });
  });

  it('one without parents beside another without parents: NULL is no family', () => {
    const { preferences } = pairUp({ ...approved, parentId: null }, [rejected({ parentId: null })]);
    expect(preferences).toEqual([]);
  });

  it('everything, when the approved conversation has no answer', () => {
    const { preferences, leftOver } = pairUp({ ...approved, turns: approved.turns.slice(0, 2) }, [
      rejected(),
    ]);
    expect(preferences).toEqual([]);
    expect(leftOver.map(({ reason }) => reason)).toEqual(['no-answer', 'other-prompt']);
  });
});
