/** Milliseconds since 1970. Sent and received by the clock of the asker, began and ended by that of the host. */
export interface ClockReading {
  sentAt: number;
  receivedAt: number;
  beganAt: number;
  endedAt: number;
  /** How coarse the host's clock readings are. */
  stepMs: number;
}

/**
 * How far the host's clock is ahead, corrected for the way there and back as NTP does it (RFC 5905, section 8): what the host
 * took itself does not count, and the rest is the same both ways at best, all one way at worst.
 */
export function clockSkew(reading: ClockReading): { skewMs: number; uncertaintyMs: number } {
  const { sentAt, receivedAt, beganAt, endedAt, stepMs } = reading;
  const skew = (beganAt - sentAt + (endedAt - receivedAt)) / 2;
  const onTheWay = Math.max(0, receivedAt - sentAt - (endedAt - beganAt));
  return { skewMs: round(skew), uncertaintyMs: round(onTheWay / 2 + stepMs) };
}

/** `1761234567.123456789`, or whole seconds where `date` knows no fraction. */
export function parseDate(line: string | undefined): { ms: number; stepMs: number } | undefined {
  const [, seconds, fraction] = /^(\d{9,11})(?:\.(\d+))?/.exec(line ?? '') ?? [];
  if (seconds === undefined) return undefined;
  if (fraction === undefined) return { ms: Number(seconds) * 1_000, stepMs: 1_000 };
  return { ms: Number(seconds) * 1_000 + Number(`0.${fraction}`) * 1_000, stepMs: 0.001 };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
