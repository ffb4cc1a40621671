import { describe, expect, it } from 'vitest';

import { adviceOn, liveLine, statusJson, statusLine, statusText } from '../../src/cli/render-status.js';
import type { ExportStatus } from '../../src/status.js';

function aStatus(parts: Partial<ExportStatus> = {}): ExportStatus {
  return {
    exportId: '6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4',
    status: 'processing',
    progress: 42,
    conversationCount: 600,
    fileSize: null,
    fileUrl: null,
    errorMessage: null,
    format: 'jsonl',
    phase: 'writing',
    matched: 600,
    read: 252,
    written: 249,
    skipped: 3,
    attempt: 1,
    detached: false,
    workerHost: 'blue',
    heartbeatAt: '2025-10-29T10:00:00.000Z',
    silentSeconds: 2,
    isSilent: false,
    queuedBefore: null,
    createdAt: '2025-10-29T09:59:00.000Z',
    updatedAt: '2025-10-29T09:59:01.000Z',
    expiresAt: null,
    ...parts,
  };
}

/** What a terminal would act on. */
const HOSTILE = 'red \u001b[31m, back \r, C1 \u009b2J, turned \u202e, line \u2028, tag \u{e0041}';
// eslint-disable-next-line no-control-regex
const ACTIVE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028\u{e0041}]/u;

describe('a status for programs', () => {
  it('has the keys of the contract', () => {
    expect(Object.keys(JSON.parse(statusJson(aStatus())) as object)).toEqual([
      'export_id',
      'status',
      'progress',
      'conversation_count',
      'file_size',
      'file_url',
      'error_message',
      'format',
      'phase',
      'matched_count',
      'read_count',
      'written_count',
      'skipped_count',
      'attempt',
      'detached',
      'worker_host',
      'heartbeat_at',
      'silent_seconds',
      'is_silent',
      'queued_before',
      'created_at',
      'updated_at',
      'expires_at',
      'advice',
    ]);
  });

  it('hands over hostile text unchanged, in characters that no terminal acts on', () => {
    const json = statusJson(aStatus({ errorMessage: HOSTILE }));
    expect(json).not.toMatch(ACTIVE);
    expect(JSON.parse(json)).toMatchObject({ error_message: HOSTILE });
  });
});

describe('a status for people', () => {
  it('is one fact per line, without those that are not known', () => {
    expect(statusText(aStatus(), 'ascii')).toBe(
      [
        'export    6f3c0b1e-5d1a-4c0f-9a51-b8f0a2b7c9d4',
        'status    processing (writing)',
        'progress  ############..................  42 %, 252 of 600 conversations read, 3 skipped',
        'format    jsonl',
        'host      blue',
        'started   2025-10-29T09:59:00.000Z',
        'changed   2025-10-29T09:59:01.000Z',
        '',
      ].join('\n'),
    );
  });

  it('has no bar where there is no terminal', () => {
    expect(statusText(aStatus(), null)).toContain('progress  42 %, 252 of 600');
  });

  it('shows hostile text harmlessly', () => {
    const status = aStatus({ status: 'failed', errorMessage: HOSTILE, fileUrl: HOSTILE });
    for (const text of [statusText(status, null), statusLine(status), liveLine(status, 300, 'utf8')])
      expect(text).not.toMatch(ACTIVE);
    expect(statusText(status, null)).toContain('\\u{1b}[31m');
  });

  it.each([20, 40, 80, 200])('leaves the last of %i columns free', (columns) => {
    expect(liveLine(aStatus(), columns, 'utf8').length).toBeLessThanOrEqual(columns - 3);
  });

  it('keeps a bar on a narrow terminal and before a long remark', () => {
    expect(liveLine(aStatus(), 50, 'ascii')).toMatch(/^####\.{6} {2}42 %/);
    expect(liveLine(aStatus({ isSilent: true, silentSeconds: 99 }), 80, 'ascii')).toMatch(
      /^####\.{6} {2}42 %/,
    );
  });

  it('counts what is in the file once it is complete', () => {
    const done = aStatus({ status: 'completed', progress: 100, conversationCount: 1, skipped: 0 });
    expect(statusLine(done)).toBe('100 %  completed, 1 conversation');
  });
});

describe('the advice', () => {
  const silent = { isSilent: true, silentSeconds: 95 };

  it.each([
    ['runs', {}, null],
    ['has ended', { ...silent, status: 'failed' as const }, null],
    ['is next', { status: 'queued' as const, queuedBefore: 0 }, 'no job before it'],
    ['waits for one', { status: 'queued' as const, queuedBefore: 1 }, '1 job before it'],
    ['waits', { status: 'queued' as const, queuedBefore: 7 }, '7 jobs before it'],
  ])('on an export that %s', (_what, parts, expected) => {
    expect(adviceOn(aStatus(parts))).toBe(expected);
  });

  it('on a dead one says for how long it is silent, and what repairs it', () => {
    expect(adviceOn(aStatus(silent))).toMatch(/no sign of life for 95 s.*blue.*cleanup/);
    expect(adviceOn(aStatus({ ...silent, detached: true }))).toMatch(/95 s.*lora-export worker/);
    expect(adviceOn(aStatus({ ...silent, detached: true, phase: 'publishing' }))).toMatch(
      /95 s.*may be complete.*blue/,
    );
  });
});
