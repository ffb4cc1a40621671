import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';

import { abortable } from '../src/abortable.js';

const never = (): Promise<never> => new Promise(() => {});

describe('abortable', () => {
  it('gives the result, or the failure, of the promise', async () => {
    const { signal } = new AbortController();
    expect(await abortable(Promise.resolve(1), signal)).toBe(1);
    await expect(abortable(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  it('ends with the reason of an abort although the promise never settles', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    const waiting = abortable(never(), controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(abortable(never(), controller.signal)).rejects.toBe(reason);
  });

  it('leaves no listener behind', async () => {
    const { signal } = new AbortController();
    await abortable(Promise.resolve(), signal);
    await abortable(Promise.reject(new Error('no')), signal).catch(() => undefined);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
