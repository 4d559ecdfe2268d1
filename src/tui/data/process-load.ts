import type { Role } from '../../base/role.ts';
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
  running: string;
  waiting: string | null;
  kvUsage: string | null;
  tokens: string;
}

/** vLLM's names, which the simulated engine shares; https://docs.vllm.ai/en/latest/usage/metrics.html */
const WORKER: MetricNames = {
  running: 'vllm:num_requests_running',
  waiting: 'vllm:num_requests_waiting',
  kvUsage: 'vllm:kv_cache_usage_perc',
  tokens: 'vllm:generation_tokens_total',
};
const PREFILL: MetricNames = { ...WORKER, tokens: 'vllm:prompt_tokens_total' };
const FRONTEND: MetricNames = {
  running: 'dynamo_frontend_active_requests',
  waiting: null,
  kvUsage: null,
  tokens: 'dynamo_frontend_output_tokens_total',
};

/** Load from one reading of /metrics and the one before. Pure. */
export function readLoad(
  role: Role,
  samples: readonly Sample[],
  atMs: number,
  before: LoadReading | undefined,
): { load: ProcessLoad; reading: LoadReading } {
  const names = role === 'frontend' ? FRONTEND : role === 'prefill' ? PREFILL : WORKER;
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
