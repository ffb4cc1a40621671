import { describe, expect, it } from 'vitest';

import {
  bar,
  checkText,
  crossedText,
  statisticsJson,
  statisticsText,
} from '../../src/cli/render-statistics.js';
import type { Statistics } from '../../src/statistics.js';

const none = { runs: 0, succeeded: 0, failed: 0, cancelled: 0, inProgress: 0, conversations: 0, bytes: 0 };
const unknown = {
  users: 0,
  files: 0,
  averageBytes: null,
  largestBytes: null,
  byteHours: 0,
  lastSuccess: null,
};
const nothing = { format: null, ...none, ...unknown, timed: 0, totalMs: 0 };
const times = { averageMs: 1500, medianMs: 1000, p95Ms: 9999, longestMs: 65_432 };

const STATISTICS: Statistics = {
  since: '2025-10-27T00:00:00.000Z',
  until: '2025-10-29T12:34:56.789Z',
  by: 'day',
  totals: {
    ...nothing,
    runs: 80,
    succeeded: 63,
    failed: 9,
    cancelled: 4,
    inProgress: 4,
    conversations: 1234,
    bytes: 5_242_880,
    users: 12,
    byteHours: 1_073_741_824,
  },
  formats: [
    {
      ...nothing,
      format: 'jsonl',
      runs: 64,
      succeeded: 50,
      files: 6,
      averageBytes: 1024,
      largestBytes: 4096,
      bytes: 6144,
    },
    { ...nothing, format: 'c\u{1b}[31msv', runs: 16 },
  ],
  durations: [
    { format: null, sizeClass: null, runs: 7, ...times },
    { format: null, sizeClass: 0, runs: 6, ...times, averageMs: 750 },
    { format: 'jsonl', sizeClass: 4, runs: 1, ...times, averageMs: 20_000 },
  ],
  users: Array.from({ length: 12 }, (_, index) => ({
    ...none,
    userId: `${String(index).padStart(8, '0')}-1111-4111-8111-111111111111`,
    runs: index === 0 ? 14 : 12 - index,
  })),
  buckets: [
    { ...none, start: '2025-10-27T00:00:00Z', runs: 4, succeeded: 3, failed: 1, conversations: 9, bytes: 10 },
    { ...none, start: '2025-10-28T00:00:00Z' },
    { ...none, start: '2025-10-29T00:00:00Z', runs: 6, succeeded: 4, conversations: 1225 },
  ],
  storage: { files: 2, bytes: 2048, overdueFiles: 1, overdueBytes: 1024 },
};

const EMPTY: Statistics = {
  ...STATISTICS,
  totals: nothing,
  formats: [],
  durations: [
    { format: null, sizeClass: null, runs: 0, averageMs: null, medianMs: null, p95Ms: null, longestMs: null },
  ],
  users: [],
  storage: { files: 0, bytes: 0, overdueFiles: 0, overdueBytes: 0 },
};

describe('statistics for people', () => {
  it('are tables with bars', () => {
    expect(statisticsText(STATISTICS, { utf8: false })).toMatchInlineSnapshot(`
      "Exports from 2025-10-27 00:00 to 2025-10-29 12:34 UTC

      runs          80: 63 succeeded, 9 failed, 4 cancelled, 4 in progress
      success rate  87.5 % of 72 that ended; cancelled ones do not count
      volume        1234 conversations, 5.0 MiB
      users         12
      storage cost  1.0 GiB hours (size times retention)
      stored now    2 files, 2.0 KiB; 1 overdue for cleanup

      Formats
      format         runs   share
      jsonl            64  80.0 %  ########################
      c\\u{1b}[31msv    16  20.0 %  ######

      Sizes
      format  files  average  largest    total
      jsonl       6  1.0 KiB  4.0 KiB  6.0 KiB  ########################

      Durations of exports that succeeded (bar: average)
      format  conversations  runs  average  median      p95  longest
      all               all     7   1.50 s  1.00 s  10.00 s   65.4 s  #
      all              <100     6   0.75 s  1.00 s  10.00 s   65.4 s  #
      jsonl           5000+     1   20.0 s  1.00 s  10.00 s   65.4 s  ################

      Users
      user                                  runs   share
      00000000-1111-4111-8111-111111111111    14  17.5 %  ########################
      00000001-1111-4111-8111-111111111111    11  13.8 %  ###################
      00000002-1111-4111-8111-111111111111    10  12.5 %  #################
      00000003-1111-4111-8111-111111111111     9  11.3 %  ###############
      00000004-1111-4111-8111-111111111111     8  10.0 %  ##############
      00000005-1111-4111-8111-111111111111     7   8.8 %  ############
      00000006-1111-4111-8111-111111111111     6   7.5 %  ##########
      00000007-1111-4111-8111-111111111111     5   6.3 %  #########
      00000008-1111-4111-8111-111111111111     4   5.0 %  #######
      00000009-1111-4111-8111-111111111111     3   3.8 %  #####
      and 2 more

      Days (UTC; bar: runs)
      day         runs  failed  success  conversations  bytes
      2025-10-27     4       1   75.0 %              9   10 B  ###############
      2025-10-28     0       0        -              0    0 B
      2025-10-29     6       0  100.0 %           1225    0 B  #######################
      "
    `);
  });

  it.each([true, false])('fit 80 columns and line up, with UTF-8: %s', (utf8) => {
    for (const line of statisticsText(STATISTICS, { utf8 }).split('\n'))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  it('are ASCII where the terminal is', () => {
    // oxlint-disable-next-line no-control-regex
    expect(statisticsText(STATISTICS, { utf8: false })).toMatch(/^[\x0a\x20-\x7e]*$/);
    expect(statisticsText(STATISTICS, { utf8: true })).toMatch(/█/);
  });

  it('show no control characters of the database', () => {
    expect(statisticsText(STATISTICS, { utf8: true })).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  it('say so when there is nothing', () => {
    expect(statisticsText(EMPTY, { utf8: false })).toMatchInlineSnapshot(`
      "Exports from 2025-10-27 00:00 to 2025-10-29 12:34 UTC

      runs          0: 0 succeeded, 0 failed, 0 cancelled, 0 in progress
      success rate  none has ended
      volume        0 conversations, 0 B
      users         0
      storage cost  0 B hours (size times retention)
      stored now    0 files, 0 B

      Days (UTC; bar: runs)
      day         runs  failed  success  conversations  bytes
      2025-10-27     4       1   75.0 %              9   10 B  ###############
      2025-10-28     0       0        -              0    0 B
      2025-10-29     6       0  100.0 %           1225    0 B  #######################
      "
    `);
  });
});

describe('a bar', () => {
  it('is as long as its share, in eighths of a column', () => {
    const drawn = (share: number): string => bar(share, 4, { utf8: true });
    expect([0, 0.25, 0.5, 17 / 32, 1].map(drawn)).toEqual(['', '█', '██', '██▏', '████']);
    expect([0, 0.25, 0.6, 1].map((share) => bar(share, 4, { utf8: false }))).toEqual(['', '#', '##', '####']);
  });

  it('shows what is more than nothing, and needs room', () => {
    expect(bar(1e-9, 4, { utf8: true })).toBe('▏');
    expect(bar(1e-9, 4, { utf8: false })).toBe('#');
    expect(bar(1, 0, { utf8: true })).toBe('');
  });
});

describe('statistics for programs', () => {
  it('name everything in snake case', () => {
    const json = statisticsJson(STATISTICS);
    const keys = [...json.matchAll(/"(\w+)":/g)].map(([, key]) => key);
    expect(keys.filter((key) => !/^[a-z0-9]+(_[a-z0-9]+)*$/.test(key ?? ''))).toEqual([]);
    expect(JSON.parse(json)).toMatchObject({
      run_count: 80,
      success_rate: 7 / 8,
      in_progress_count: 4,
      byte_hours: 1_073_741_824,
      user_count: 12,
      formats: [{ format: 'jsonl', share: 0.8, average_file_size: 1024 }, { share: 0.2 }],
      durations: [
        { format: null, size_class: null, run_count: 7, average_ms: 1500, p95_ms: 9999 },
        { size_class: '<100' },
        { format: 'jsonl', size_class: '5000+' },
      ],
      buckets: [{ start: '2025-10-27T00:00:00Z', success_rate: 0.75 }, { success_rate: null }, {}],
      storage: { file_count: 2, overdue_bytes: 1024 },
    });
  });

  it('are null where nothing was measured', () => {
    expect(JSON.parse(statisticsJson(EMPTY))).toMatchObject({
      run_count: 0,
      success_rate: null,
      formats: [],
      durations: [{ average_ms: null }],
    });
  });
});

describe('checks for people', () => {
  const report = {
    since: STATISTICS.since,
    until: STATISTICS.until,
    ok: false,
    checks: [
      { name: 'failure_rate', value: 0.25, limit: 0.1, ok: false, message: '1 of 4 exports failed' },
      { name: 'small_export_seconds', value: null, limit: 60, ok: true, message: 'average of 0 exports' },
      { name: 'storage_bytes', value: 2 ** 31, limit: 2 ** 30, ok: false, message: '2 stored files' },
      { name: 'silent_runs', value: 0, limit: 0, ok: true, message: '0 queued, 0 running' },
    ],
  } as const;

  it('are a line each, with value and limit', () => {
    expect(checkText(report)).toMatchInlineSnapshot(`
      "       check          value    limit
      ALERT  failure rate   25.0 %   10.0 %   1 of 4 exports failed
      ok     small exports  -        60.0 s   average of 0 exports
      ALERT  storage        2.0 GiB  1.0 GiB  2 stored files
      ok     silent runs    0        0        0 queued, 0 running
      "
    `);
  });

  it('give the reasons of an alarm', () => {
    expect(crossedText(report)).toBe(
      'failure rate 25.0 % is more than 10.0 % (1 of 4 exports failed); storage 2.0 GiB is more than 1.0 GiB (2 stored files)',
    );
  });
});
