import { describe, expect, it } from 'vitest';
import { aborted, anySignal, pause, sleep } from '../../../src/base/abort.ts';

const over = AbortSignal.abort(new Error('over'));

describe('abort', () => {
  it('sleep rejects with the reason, at once or while it sleeps', async () => {
    await sleep(1);
    await expect(sleep(60_000, over)).rejects.toThrow('over');
    const stop = new AbortController();
    const sleeping = expect(sleep(60_000, stop.signal)).rejects.toThrow('woken');
    stop.abort(new Error('woken'));
    await sleeping;
  });

  it('pause never rejects', async () => {
    await pause(60_000, over);
    const stop = new AbortController();
    const pausing = pause(60_000, stop.signal);
    stop.abort();
    await pausing;
    await pause(1, new AbortController().signal);
  });

  it('aborted waits for the end, also one that has come', async () => {
    await aborted(over);
    const stop = new AbortController();
    const waiting = aborted(stop.signal);
    stop.abort();
    await waiting;
  });

  it('anySignal follows the first of those given', () => {
    const stop = new AbortController();
    const either = anySignal(undefined, stop.signal);
    expect(either.aborted).toBe(false);
    stop.abort();
    expect(either.aborted).toBe(true);
    expect(anySignal().aborted).toBe(false);
  });
});
