import { setTimeout as sleep } from 'node:timers/promises';
import { LoraExportError } from './errors.js';

export interface RetryOptions {
  /** How often to try at all. */
  readonly attempts: number;
  /** The first pause in milliseconds; each further one is four times as long, all ± 50 %. */
  readonly firstPauseMs: number;
  /** No further attempt begins later than this after the first, in milliseconds. Default: any time. */
  readonly totalMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told before each pause. */
  readonly onRetry?: (error: LoraExportError, next: { attempt: number; pauseMs: number }) => void;
}

/** Tries again after failures that may pass (`retryable`); anything else is thrown at once. */
export async function withRetries<T>(
  options: RetryOptions,
  action: (attempt: number) => Promise<T>,
): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await action(attempt);
    } catch (error) {
      const passes = error instanceof LoraExportError && error.retryable;
      if (!passes || attempt >= options.attempts || options.signal?.aborted) throw error;
      const pauseMs = Math.round(options.firstPauseMs * 4 ** (attempt - 1) * (0.5 + Math.random()));
      if (performance.now() - started + pauseMs > (options.totalMs ?? Number.POSITIVE_INFINITY)) throw error;
      options.onRetry?.(error, { attempt: attempt + 1, pauseMs });
      // An abort during the pause is told by its reason, not by the timer.
      await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => {
        throw options.signal?.reason ?? error;
      });
    }
  }
}
