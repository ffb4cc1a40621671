import { describe, expect, it } from 'vitest';

import { gemini } from '../../src/targets/gemini.js';
import { aConversation } from '../support/conversations.js';
import { expectAgreement, expectNoThrow, pairOf } from './agreement.js';
import { rowOf, told, written } from './target-testing.js';

const shape = gemini.shapes['contents']!;
const preference = gemini.preferences!['preference']!;
const systemInstruction = { parts: [{ text: 'Be careful.' }] };
const user = { role: 'user', parts: [{ text: 'Where is order 7?' }] };
const model = { role: 'model', parts: [{ text: 'It ships today.' }] };
const contents = [user, model];
const row = { systemInstruction, contents };
const KEYS = ['systemInstruction', 'contents', 'role', 'parts', 'text', 'completions', 'completion', 'score'];

describe('rows', () => {
  it('are contents of user and model, beside the system instruction', () => {
    const turns = ['system: Be careful.', 'user: Where is order 7?', 'assistant: It ships today.'];
    expect(rowOf(gemini, { turns }, shape)!).toBe(`${JSON.stringify(row)}\n`);
  });

  it('have no system instruction where there is none', () => {
    const turns = ['user: Where is order 7?', 'assistant: It ships today.'];
    expect(rowOf(gemini, { turns }, shape)!).toBe(`${JSON.stringify({ contents })}\n`);
  });

  it.each<[string, unknown, string[]]>([
    ['a sound row', row, []],
    ['a sound row without system instruction', { contents }, []],
    [
      'a part that is a file',
      { contents: [{ role: 'user', parts: [{ fileData: {} }, { text: 'x' }] }, model] },
      [],
    ],
    ['null', null, ['error not-an-object @ ']],
    ['an extra key', { ...row, id: 1 }, ['warning extra-key @ id']],
    [
      'an extra key in a content',
      { contents: [user, { ...model, weight: 1 }] },
      ['error extra-key @ contents[1].weight'],
    ],
    [
      'an extra key in a part',
      { contents: [{ role: 'user', parts: [{ text: 'x', type: 'text' }] }, model] },
      ['error extra-key @ contents[0].parts[0].type'],
    ],
    [
      'a system instruction that is text',
      { ...row, systemInstruction: 's' },
      ['error wrong-type @ systemInstruction'],
    ],
    [
      'a system instruction with a role',
      { ...row, systemInstruction: { role: 'system', ...systemInstruction } },
      ['warning ignored-key @ systemInstruction.role'],
    ],
    [
      'a system instruction without parts',
      { ...row, systemInstruction: {} },
      ['error missing-key @ systemInstruction.parts'],
    ],
    ['no contents', { systemInstruction }, ['error missing-key @ contents']],
    ['an empty list', { contents: [] }, ['error empty-messages @ contents']],
    ['a question alone', { contents: [user] }, ['error no-assistant @ contents']],
    [
      'the role assistant',
      { contents: [user, { ...model, role: 'assistant' }] },
      ['error unknown-role @ contents[1].role'],
    ],
    [
      'the role system',
      { contents: [{ ...user, role: 'system' }, user, model] },
      ['error unknown-role @ contents[0].role'],
    ],
    ['the user last', { contents: [user, model, user] }, ['error ends-with-user @ contents[2].role']],
    [
      'the model first',
      { contents: [model, user, model] },
      ['warning starts-with-assistant @ contents[0].role'],
    ],
    [
      'two users in a row',
      { contents: [user, user, model] },
      ['warning equal-neighbours @ contents[1].role'],
    ],
    ['no parts', { contents: [{ role: 'user' }, model] }, ['error missing-key @ contents[0].parts']],
    [
      'parts that are text',
      { contents: [{ role: 'user', parts: 'x' }, model] },
      ['error wrong-type @ contents[0].parts'],
    ],
    [
      'an empty list of parts',
      { contents: [{ role: 'user', parts: [] }, model] },
      ['error empty-content @ contents[0].parts'],
    ],
    [
      'a part that is text',
      { contents: [{ role: 'user', parts: ['x'] }, model] },
      ['error not-an-object @ contents[0].parts[0]'],
    ],
    [
      'a part without text',
      { contents: [{ role: 'user', parts: [{}] }, model] },
      ['error missing-content @ contents[0].parts[0].text'],
    ],
    [
      'empty text',
      { contents: [user, { role: 'model', parts: [{ text: '' }] }] },
      ['error empty-content @ contents[1].parts[0].text'],
    ],
  ])('finds in %s', (_what, given, problems) => {
    expect(told(shape, given)).toEqual(problems);
  });

  it('are checked without throwing', () => {
    expectNoThrow(shape, KEYS);
  });

  it('are never written as the check refuses them', () => {
    expectAgreement(shape, (conversation) => written(gemini, conversation, shape));
  });
});

describe('pairs', () => {
  const chosen = { score: 1, completion: model };
  const rejected = { score: 0, completion: { role: 'model', parts: [{ text: 'No idea.' }] } };
  const pair = { contents: [user], completions: [chosen, rejected] };

  it('are scored completions of the same contents', () => {
    const turns = ['system: Be careful.', 'user: Where is order 7?', 'assistant: It ships today.'];
    expect(pairOf(gemini, preference, aConversation({ turns }), 'No idea.')).toBe(
      '{"systemInstruction":{"parts":[{"text":"Be careful."}]},"contents":[{"role":"user","parts":[{"text":"Where is order 7?"}]}],' +
        '"completions":[{"score":1.0,"completion":{"role":"model","parts":[{"text":"It ships today."}]}},' +
        '{"score":0.0,"completion":{"role":"model","parts":[{"text":"No idea."}]}}]}\n',
    );
  });

  it.each<[string, unknown, string[]]>([
    ['a sound pair', pair, []],
    [
      'contents that end with the model',
      { ...pair, contents: [user, model] },
      ['error ends-with-assistant @ contents[1].role'],
    ],
    ['no completions', { contents: [user] }, ['error missing-key @ completions']],
    ['one completion', { ...pair, completions: [chosen] }, ['error wrong-count @ completions']],
    [
      'a completion of the user',
      { ...pair, completions: [chosen, { score: 0, completion: user }] },
      ['error unknown-role @ completions[1].completion.role'],
    ],
    [
      'a completion without score',
      { ...pair, completions: [chosen, { completion: model }] },
      ['error missing-key @ completions[1].score'],
    ],
    [
      'a score that is text',
      { ...pair, completions: [chosen, { score: '0', completion: model }] },
      ['error wrong-type @ completions[1].score'],
    ],
    [
      'a score alone',
      { ...pair, completions: [chosen, { score: 0 }] },
      ['error missing-key @ completions[1].completion'],
    ],
    ['equal scores', { ...pair, completions: [chosen, chosen] }, ['warning equal-scores @ completions']],
  ])('finds in %s', (_what, given, problems) => {
    expect(told(preference, given)).toEqual(problems);
  });

  it('are checked without throwing', () => {
    expectNoThrow(preference, KEYS);
  });

  it('are never written as the check refuses them', () => {
    expectAgreement(preference, (conversation) => pairOf(gemini, preference, conversation, 'No idea.'));
  });
});

it('knows the limits of the service', () => {
  expect(gemini.limits).toEqual({ maxRows: 1_000_000, maxBytes: 1024 ** 3, maxTokens: 131_072 });
});
