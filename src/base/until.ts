import { sleep } from './abort.ts';

export interface UntilOptions {
  /** Milliseconds before giving up. */
  deadlineMs: number;
  /** First pause between tries; grows by half each time up to `maxIntervalMs`. */
  intervalMs?: number;
  maxIntervalMs?: number;
  signal?: AbortSignal | undefined;
}

/**
 * Calls `probe` until it returns something other than `undefined`, and returns that.
 * Returns `undefined` once the deadline has passed; rejects if `probe` throws or the signal aborts.
 */
export async function until<T>(
  probe: () => Promise<T | undefined> | T | undefined,
  options: UntilOptions,
): Promise<T | undefined> {
  const end = performance.now() + options.deadlineMs;
  let interval = options.intervalMs ?? 10;
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await probe();
    if (value !== undefined) return value;
    const left = end - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(interval, left), options.signal);
    interval = Math.min(interval * 1.5, options.maxIntervalMs ?? 250);
  }
}
