import { describe, expect, it } from 'vitest';

import { LoraExportError } from '../src/errors.js';
import { withRetries } from '../src/retry.js';

const passing = (): LoraExportError => new LoraExportError('E_DB_UNREACHABLE', 'lost', { retryable: true });
/** So long that a test which waits for it fails. */
const FOR_EVER_MS = 600_000;

function failing(
  times: number,
  error: () => unknown,
): { calls: number[]; action: (n: number) => Promise<string> } {
  const calls: number[] = [];
  return {
    calls,
    action: (attempt) => {
      calls.push(attempt);
      return calls.length <= times ? Promise.reject(error()) : Promise.resolve('done');
    },
  };
}

describe('withRetries', () => {
  it('gives the result of the first attempt that works', async () => {
    const { calls, action } = failing(2, passing);
    expect(await withRetries({ attempts: 3, firstPauseMs: 1 }, action)).toBe('done');
    expect(calls).toEqual([1, 2, 3]);
  });

  it('throws the last failure when the attempts are used up', async () => {
    let number = 0;
    const { calls, action } = failing(9, () => Object.assign(passing(), { message: `failure ${++number}` }));
    await expect(withRetries({ attempts: 3, firstPauseMs: 1 }, action)).rejects.toThrow('failure 3');
    expect(calls).toEqual([1, 2, 3]);
  });

  it('begins no further attempt when that would be too late', async () => {
    const { calls, action } = failing(9, passing);
    const options = { attempts: 9, firstPauseMs: FOR_EVER_MS, totalMs: 1_000 };
    await expect(withRetries(options, action)).rejects.toThrow('lost');
    expect(calls).toEqual([1]);
  });

  it('tries once when it may try once', async () => {
    const { calls, action } = failing(1, passing);
    await expect(withRetries({ attempts: 1, firstPauseMs: FOR_EVER_MS }, action)).rejects.toThrow('lost');
    expect(calls).toEqual([1]);
  });

  it.each<[string, unknown]>([
    ['a failure that will stay', new LoraExportError('E_DB_ACCESS', 'refused')],
    ['an error of no kind of ours', new TypeError('bug')],
    ['an error that only looks retryable', Object.assign(new Error('no'), { retryable: true })],
    ['something that is not an error', 'text'],
  ])('throws %s at once', async (_what, error) => {
    const { calls, action } = failing(9, () => error);
    await expect(withRetries({ attempts: 3, firstPauseMs: FOR_EVER_MS }, action)).rejects.toBe(error);
    expect(calls).toEqual([1]);
  });

  it('tells each retry before its pause, which is four times the last one, give or take a half', async () => {
    const pauses: [number, number][] = [];
    await withRetries(
      {
        attempts: 4,
        firstPauseMs: 2,
        onRetry: (error, { attempt, pauseMs }) => {
          expect(error.message).toBe('lost');
          pauses.push([attempt, pauseMs]);
        },
      },
      failing(3, passing).action,
    );
    expect(pauses.map(([attempt]) => attempt)).toEqual([2, 3, 4]);
    for (const [index, [, pause]] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(2 * 4 ** index * 0.5);
      expect(pause).toBeLessThanOrEqual(2 * 4 ** index * 1.5);
    }
  });

  it('ends the pause with the reason of an abort', async () => {
    const controller = new AbortController();
    const reason = new LoraExportError('E_SIGINT', 'stopped');
    const { calls, action } = failing(9, passing);
    const onRetry = (): void => void setImmediate(() => controller.abort(reason));
    await expect(
      withRetries({ attempts: 3, firstPauseMs: FOR_EVER_MS, signal: controller.signal, onRetry }, action),
    ).rejects.toBe(reason);
    expect(calls).toEqual([1]);
  });

  it('does not pause after an abort during the attempt', async () => {
    const controller = new AbortController();
    const { calls, action } = failing(9, () => {
      controller.abort();
      return passing();
    });
    const options = { attempts: 3, firstPauseMs: FOR_EVER_MS, signal: controller.signal };
    await expect(withRetries(options, action)).rejects.toThrow('lost');
    expect(calls).toEqual([1]);
  });
});
