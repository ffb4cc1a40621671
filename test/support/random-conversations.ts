import { expect } from 'vitest';

import { formatNames } from '../../src/formats/index.js';
import { asHeldBy, READERS } from '../formats/readers.js';
import { HOSTILE_CONTENTS } from '../formats/hostile-contents.js';
import { createDatabase } from './database.js';
import { runExport } from './export.js';
import { random } from './random.js';

/** PostgreSQL holds no NUL; long texts have tests of their own. */
const PIECES = HOSTILE_CONTENTS.map(([text]) => text).filter(
  (text) => text.length < 200 && !text.includes('\0'),
);

/** Code points by how likely they are: plain, of the first plane, of any plane; never NUL or half a character. */
function anyCharacter(next: () => number): string {
  const kind = next();
  const most = kind < 0.6 ? 0x7f : kind < 0.9 ? 0xffff : 0x10ffff;
  const point = 1 + Math.floor(next() * (most - 1));
  return point >= 0xd800 && point < 0xe000 ? '\ufffd' : String.fromCodePoint(point);
}

function anyText(next: () => number): string {
  const pieces = Array.from({ length: 1 + Math.floor(next() ** 3 * 20) }, () =>
    next() < 0.4
      ? (PIECES[Math.floor(next() * PIECES.length)] ?? '')
      : Array.from({ length: 1 + Math.floor(next() * 8) }, () => anyCharacter(next)).join(''),
  );
  const text = pieces.join('');
  // Turns that say nothing are left out by a rule, which is not what is tried here.
  return /[\p{L}\p{N}]/u.test(text) ? text : `${text}x`;
}

/**
 * Puts conversations of random texts into a database, exports them in every format as a user would, and compares what
 * readers that share nothing with the encoders find there with what was put in.
 * @param seed what a failure prints, and repeats
 */
export async function expectRoundTrip(count: number, seed: number): Promise<void> {
  const next = random(seed);
  const wanted = Array.from({ length: count }, () =>
    Array.from({ length: 2 * (1 + Math.floor(next() ** 4 * 6)) }, () => anyText(next)),
  );
  await using database = await createDatabase();
  const { sql } = database;
  for (let first = 0; first < count; first += 500) {
    const some = wanted.slice(first, first + 500);
    const conversations = some.map((_, index) => {
      const place = first + index;
      return {
        conversation_id: `r_${String(place).padStart(6, '0')}`,
        status: 'approved',
        title: anyText(next),
        persona: anyText(next).slice(0, 60).toWellFormed(),
        topic: anyText(next).slice(0, 60).toWellFormed(),
        tier: 'template',
        created_at: new Date(Date.UTC(2025, 0, 1) + place * 1_000),
      };
    });
    await sql`insert into conversations ${sql(conversations)}`;
    const turns = some.flatMap((texts, index) =>
      texts.map((content, turn) => ({
        business_id: `r_${String(first + index).padStart(6, '0')}`,
        turn_number: turn + 1,
        role: turn % 2 === 0 ? 'user' : 'assistant',
        content,
      })),
    );
    await sql`
      insert into conversation_turns (conversation_id, turn_number, role, content)
      select c.id, t.turn_number, t.role, t.content
      from jsonb_to_recordset(${sql.json(turns)})
        as t (business_id text, turn_number integer, role text, content text)
      join conversations c on c.conversation_id = t.business_id`;
  }
  for (const format of formatNames) {
    const { result, text } = await runExport(database, { format, scope: 'all' });
    expect(result.counts, `seed ${seed}`).toMatchObject({ written: count, skipped: 0 });
    const found = READERS[format](text);
    expect(found).toHaveLength(count);
    // One by one: the difference of two whole documents helps nobody.
    for (const [index, turns] of wanted.entries()) {
      expect(found[index], `${format}, seed ${seed}, conversation ${index}`).toEqual(
        turns.map((content) => asHeldBy(format, content)),
      );
    }
  }
}
