import { describe, expect, it } from 'vitest';

import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { recipeOf } from '../../src/recipe.js';
import { parseRequest } from '../../src/request.js';
import { targets } from '../../src/targets/all.js';
import { targetNames } from '../../src/targets/index.js';
import { fixtureLines, fromLine } from '../formats/fixture-conversations.js';

/** Every oddity of the fixtures but the long cell, which would make each of these files three times as long. */
const conversations = fixtureLines()
  .filter(({ conversation_id: id }) => id !== 'fp_odd_long_cell')
  .map(fromLine);

const cases = targetNames.flatMap((name) =>
  Object.keys(targets[name].shapes).map((shape) => [name, shape] as const),
);

/** What each target makes of the fixtures, in `fixtures/expected/targets`; a difference is reviewed like code. */
describe('the fixtures, written for', () => {
  it.each(cases)('%s as %s, are as expected', async (target, shape) => {
    const recipe = await recipeOf(parseRequest({ target, shape }));
    const writer = recipe.begin('2025-10-29T10:00:00.000Z');
    const validator = recipe.validator();
    const out = new ByteWriter();
    writer.start(out, null);
    for (const original of conversations) {
      const { conversation } = writer.judge(original);
      if (conversation !== null) writer.rows(conversation, out);
    }
    writer.finish(out);
    validator?.write(out.view());
    expect(validator?.end().problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    await expect(out.view().toString('utf8')).toMatchFileSnapshot(
      `../../fixtures/expected/targets/${target}-${shape}.jsonl`,
    );
  });
});
