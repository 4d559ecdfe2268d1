export interface Backoff {
  initialMs: number;
  maxMs: number;
  factor: number;
}

/**
 * Delay before try number `attempt` (0 = first retry), in milliseconds.
 * `random` in [0, 1) spreads the delay over ±10 %, so that processes that fail together do not return together.
 */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  const base = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** attempt);
  return Math.round(base * (0.9 + 0.2 * random));
}
