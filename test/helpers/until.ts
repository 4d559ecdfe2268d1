import { until } from '../../src/base/until.ts';

/** Waits for a condition; fails with what was waited for instead of hanging. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 60_000,
): Promise<T> {
  const found = await until(async () => (await probe()) || undefined, {
    deadlineMs,
    intervalMs: 10,
    maxIntervalMs: 100,
  });
  if (found === undefined) throw new Error(`not within ${deadlineMs} ms: ${what}`);
  return found;
}
