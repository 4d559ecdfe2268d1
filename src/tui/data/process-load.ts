import type { ProcessSnapshot } from '../../deployment/snapshot.ts';
import { findEngine, isEngineName } from '../../engines/find-engine.ts';
import { type Sample, sumOf } from '../../telemetry/prometheus-text.ts';

/** What one process is doing, from its own metrics. Null: it does not say, or not yet. */
export interface ProcessLoad {
  running: number | null;
  waiting: number | null;
  /** Part of the KV cache in use, 0 to 1. */
  kvUsage: number | null;
  /** Prompt tokens of a prefill worker, generated tokens of any other process. */
  tokensPerSecond: number | null;
}

/** Counters of one reading, to take the next rate from. */
export interface LoadReading {
  atMs: number;
  tokens: number | null;
}

interface MetricNames {
  path: string | null;
  running: string | null;
  waiting: string | null;
  kvUsage: string | null;
  tokens: string | null;
}

const FRONTEND: MetricNames = {
  path: '/metrics',
  running: 'dynamo_frontend_active_requests',
  waiting: null,
  kvUsage: null,
  tokens: 'dynamo_frontend_output_tokens_total',
};

type Source = Pick<ProcessSnapshot, 'role' | 'engine'>;

/** Where a process tells of its load; null: nowhere. */
export const metricsPath = (process: Source): string | null => namesOf(process).path;

function namesOf({ role, engine }: Source): MetricNames {
  if (role === 'frontend') return FRONTEND;
  if (!isEngineName(engine)) return { path: null, running: null, waiting: null, kvUsage: null, tokens: null };
  const { metrics } = findEngine(engine);
  return {
    path: metrics.path,
    running: metrics.requestsRunning,
    waiting: metrics.requestsWaiting,
    kvUsage: metrics.kvCacheUsage,
    tokens: role === 'prefill' ? metrics.promptTokens : metrics.generatedTokens,
  };
}

/** Load from one reading of its metrics and the one before. Pure. */
export function readLoad(
  process: Source,
  samples: readonly Sample[],
  atMs: number,
  before: LoadReading | undefined,
): { load: ProcessLoad; reading: LoadReading } {
  const names = namesOf(process);
  const read = (name: string | null) => (name === null ? null : (sumOf(samples, name) ?? null));
  const reading = { atMs, tokens: read(names.tokens) };
  const load = {
    running: read(names.running),
    waiting: read(names.waiting),
    kvUsage: read(names.kvUsage),
    tokensPerSecond: ratePerSecond(before, reading),
  };
  return { load, reading };
}

/** A counter that fell belongs to a new run of the process and started from zero. */
function ratePerSecond(before: LoadReading | undefined, now: LoadReading): number | null {
  if (before?.tokens === null || before === undefined || now.tokens === null || now.atMs <= before.atMs) return null;
  const grown = now.tokens >= before.tokens ? now.tokens - before.tokens : now.tokens;
  return (grown * 1_000) / (now.atMs - before.atMs);
}
