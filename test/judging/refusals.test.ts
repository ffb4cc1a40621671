import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LoraExportError } from '../../src/errors.js';
import { refuseFlawed, refuseNothing } from '../../src/judging/refusals.js';
import { parseRequest, type ExportRequestInput } from '../../src/request.js';
import { Tally, type Counts, type RuleCount } from '../../src/judging/tally.js';

const OPEN = { rowSecurity: false };

const SOUND: Counts = {
  matched: 10,
  written: 10,
  skipped: 0,
  turns: 20,
  rows: 10,
  skips: {},
  repairs: {},
  warnings: {},
  failures: {},
};

const found = (count: number): RuleCount => ({
  count,
  ids: Array.from({ length: count }, (_, index) => `c${index + 1}`),
});

const skipped = (count: number, matched = 10): Counts => ({
  ...SOUND,
  matched,
  written: matched - count,
  skipped: count,
  skips: count === 0 ? {} : { 'no-turns': found(count) },
});

/** The refusal as `code message`, or null. */
function refusal(counts: Counts, request: ExportRequestInput = {}): string | null {
  try {
    refuseFlawed(counts, parseRequest(request));
    return null;
  } catch (error) {
    if (!(error instanceof LoraExportError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

describe('without conditions', () => {
  it('skips, repairs and warnings are put up with', () => {
    expect(refusal(SOUND)).toBeNull();
    const flawed = {
      ...skipped(9),
      repairs: { 'ends-with-user': found(1) },
      warnings: { 'truncated-answer': found(1) },
    };
    expect(refusal(flawed)).toBeNull();
  });

  it('a run that skips everything fails, unless an empty file will do', () => {
    expect(refusal(skipped(10))).toMatch(/^E_EMPTY All 10 .* no-turns in 10 \(c1, c2, c3, …\)/);
    expect(refusal(skipped(10), { allowEmpty: true })).toBeNull();
  });

  it('a run in which nothing matched is no business of the flaws', () => {
    expect(refusal(skipped(0, 0))).toBeNull();
  });

  it('a failure fails the run, and all of its rules are named with their first ids', () => {
    const failures = { 'reserved-text': found(4), 'late-system': found(3) };
    const message = refusal({ ...skipped(1), skipped: 8, written: 2, failures });
    expect(message).toMatch(/^E_DATA /);
    expect(message).toContain('reserved-text in 4 (c1, c2, c3, …); late-system in 3 (c1, c2, c3)');
    expect(message).toContain('Nothing was published.');
    expect(refusal({ ...skipped(1), failures }, { allowEmpty: true })).toMatch(/^E_DATA /);
  });
});

describe('in strict mode', () => {
  it.each<[string, Partial<Counts>]>([
    ['a skip', skipped(1)],
    ['a repair', { repairs: { 'equal-neighbours': found(1) } }],
    ['a warning', { warnings: { 'equal-neighbours': found(1) } }],
  ])('%s fails the run and is named', (_what, counts) => {
    const message = refusal({ ...SOUND, ...counts }, { strict: true });
    expect(message).toMatch(
      /^E_DATA Strict mode: (no-turns|equal-neighbours) in 1 \(c1\)\. Nothing was published\.$/,
    );
  });

  it('a run without a flaw passes', () => {
    expect(refusal(SOUND, { strict: true })).toBeNull();
  });
});

describe('a bound on skips', () => {
  it.each([
    [{ count: 2 }, 2, 10, true],
    [{ count: 2 }, 3, 10, false],
    [{ count: 0 }, 0, 10, true],
    [{ count: 0 }, 1, 10, false],
    [{ percent: 20 }, 2, 10, true],
    [{ percent: 20 }, 3, 10, false],
    [{ percent: 25 }, 2, 10, true],
    [{ percent: 25 }, 3, 10, false],
    [{ percent: 0 }, 1, 10, false],
    [{ percent: 0.5 }, 5, 1_000, true],
    [{ percent: 0.5 }, 6, 1_000, false],
    [{ percent: 99.999 }, 10, 11, true],
    [{ percent: 100 }, 9, 10, true],
  ])('of %j with %i of %i skipped: passes = %s', (maxSkipped, skips, matched, passes) => {
    expect(refusal(skipped(skips, matched), { maxSkipped }) === null).toBe(passes);
  });

  it('in per cent means that share exactly, whatever floating point makes of it', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 100_000 }), (thousandths, matched) => {
        const most = Number((BigInt(thousandths) * BigInt(matched)) / 100_000n);
        const maxSkipped = { percent: thousandths / 1_000 };
        const request = { maxSkipped, allowEmpty: true };
        expect(refusal(bare(most, matched), request)).toBeNull();
        if (most < matched) expect(refusal(bare(most + 1, matched), request)).toMatch(/^E_DATA /);
      }),
      { numRuns: 2_000 },
    );
    for (const [percent, most] of [
      [29, 29],
      [57, 57],
      [58, 58],
    ] as const)
      expect(refusal(skipped(most, 100), { maxSkipped: { percent } })).toBeNull();
  });

  it('says how many were skipped, how many may be, and why they were', () => {
    const message = refusal(skipped(3), { maxSkipped: { percent: 25 } });
    expect(message).toContain('3 of 10 conversations were skipped, more than the 2 allowed');
    expect(message).toContain('no-turns in 3 (c1, c2, c3)');
  });

  it('is looked at before the run is called empty', () => {
    expect(refusal(skipped(10), { maxSkipped: { count: 3 } })).toMatch(/^E_DATA /);
  });

  /** Counts without the ids, which thousands of runs need not make. */
  function bare(count: number, matched: number): Counts {
    return { ...SOUND, matched, written: matched - count, skipped: count };
  }
});

describe('when nothing matched', () => {
  it('the run fails unless an empty file will do', () => {
    expect(() => refuseNothing(new Tally(0), parseRequest({}), OPEN)).toThrow(
      expect.objectContaining({ code: 'E_EMPTY', message: 'No conversations matched.' }),
    );
    refuseNothing(new Tally(0), parseRequest({ allowEmpty: true }), OPEN);
    refuseNothing(new Tally(1), parseRequest({}), OPEN);
  });
});
