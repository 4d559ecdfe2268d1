import { type Sample, sumOf } from '../../telemetry/prometheus-text.ts';
import { type Buckets, bucketDelta, bucketsOf, quantileOf } from './histogram-delta.ts';
import type { ProcessLoad } from './process-load.ts';

/** Time between two points, in milliseconds. */
export const TRAFFIC_STEP_MS = 2_000;
/** Points kept: eight minutes. */
export const TRAFFIC_POINTS = 240;

/** What the clients saw during one step. Null: no request told. */
export interface TrafficPoint {
  requestsPerSecond: number | null;
  tokensPerSecond: number | null;
  /** Seconds. */
  ttftP50: number | null;
  ttftP99: number | null;
  itlP50: number | null;
  itlP99: number | null;
  /** Part of the prompt tokens that came out of a KV cache, 0 to 1. */
  cacheHitRate: number | null;
  /** Requests accepted and not yet answered in full. */
  active: number | null;
  /** Requests waiting inside the workers. */
  queued: number | null;
}

/** One frontend's counters at one moment. */
export interface FrontendReading {
  ended: number;
  outputTokens: number;
  inputTokens: number;
  cachedTokens: number;
  active: number;
  ttft: Buckets;
  itl: Buckets;
}

const name = (suffix: string) => `dynamo_frontend_${suffix}`;

export function readFrontend(samples: readonly Sample[]): FrontendReading {
  const sum = (metric: string) => sumOf(samples, name(metric)) ?? 0;
  return {
    ended: sum('requests_total'),
    outputTokens: sum('output_tokens_total'),
    inputTokens: sum('input_sequence_tokens_sum'),
    cachedTokens: sum('cached_tokens_sum'),
    active: sum('active_requests'),
    ttft: bucketsOf(samples, name('time_to_first_token_seconds')),
    itl: bucketsOf(samples, name('inter_token_latency_seconds')),
  };
}

export interface FrontendPair {
  before: FrontendReading;
  after: FrontendReading;
}

/** Joins what all frontends counted between two readings, and what waits in the workers. Pure. */
export function trafficPoint(
  pairs: readonly FrontendPair[],
  loads: Readonly<Record<string, ProcessLoad>>,
  elapsedMs: number,
): TrafficPoint {
  const waiting = Object.values(loads).flatMap(({ waiting: count }) => (count === null ? [] : [count]));
  const queued = waiting.length === 0 ? null : waiting.reduce((sum, count) => sum + count, 0);
  if (pairs.length === 0 || elapsedMs <= 0) return { ...NOTHING, queued };
  const grown = (pick: (reading: FrontendReading) => number) =>
    pairs.reduce((sum, { before, after }) => sum + growth(pick(before), pick(after)), 0);
  const inputTokens = grown((reading) => reading.inputTokens);
  const ttft = joined(pairs.map(({ before, after }) => bucketDelta(before.ttft, after.ttft)));
  const itl = joined(pairs.map(({ before, after }) => bucketDelta(before.itl, after.itl)));
  return {
    requestsPerSecond: (grown((reading) => reading.ended) * 1_000) / elapsedMs,
    tokensPerSecond: (grown((reading) => reading.outputTokens) * 1_000) / elapsedMs,
    ttftP50: quantileOf(ttft, 0.5),
    ttftP99: quantileOf(ttft, 0.99),
    itlP50: quantileOf(itl, 0.5),
    itlP99: quantileOf(itl, 0.99),
    cacheHitRate: inputTokens > 0 ? Math.min(1, grown((reading) => reading.cachedTokens) / inputTokens) : null,
    active: pairs.reduce((sum, { after }) => sum + after.active, 0),
    queued,
  };
}

export const NOTHING: TrafficPoint = {
  requestsPerSecond: null,
  tokensPerSecond: null,
  ttftP50: null,
  ttftP99: null,
  itlP50: null,
  itlP99: null,
  cacheHitRate: null,
  active: null,
  queued: null,
};

const growth = (before: number, after: number) => (after >= before ? after - before : after);

function joined(all: readonly Buckets[]): Buckets {
  const sum = new Map<number, number>();
  for (const buckets of all) for (const [bound, count] of buckets) sum.set(bound, (sum.get(bound) ?? 0) + count);
  return sum;
}
