import { isOslMismatch, METRIC_UNIT, measureRequest, type RequestMetrics } from './request-metrics.ts';
import type { RequestRecord } from './request-record.ts';
import { isGood, type ServiceLevel } from './service-level.ts';
import { type Distribution, describe, type Scalar } from './statistics.ts';

export type Metric = Distribution | Scalar;

/** Every metric of a run by AIPerf's name; one that cannot be had from the responses is absent. */
export type RunMetrics = Record<string, Metric>;

export interface MetricOptions {
  streaming: boolean;
  serviceLevels: readonly ServiceLevel[];
}

/** Pure: records of the measured phase in, metrics out. Cancelled requests count nowhere. */
export function measureRun(records: readonly RequestRecord[], options: MetricOptions): RunMetrics {
  const ok = records.filter((record) => record.outcome === 'ok');
  const errors = records.filter((record) => record.outcome === 'error').length;
  const perRequest = ok.map((record) => measureRequest(record, options.streaming));
  const metrics: RunMetrics = {};
  for (const name of Object.keys(METRIC_UNIT) as (keyof RequestMetrics)[]) {
    const distribution = describe(samplesOf(perRequest, name), METRIC_UNIT[name]);
    if (distribution) metrics[name] = distribution;
  }
  const scalar = (name: string, avg: number, unit: string): void => {
    metrics[name] = { unit, avg };
  };
  scalar('request_count', ok.length, 'requests');
  scalar('completed_request_count', ok.length + errors, 'requests');
  scalar('error_request_count', errors, 'requests');
  if (ok.length + errors > 0) scalar('request_error_rate', (errors / (ok.length + errors)) * 100, '%');
  scalar('osl_mismatch_count', mismatches(ok, perRequest), 'requests');
  addThroughput(ok, perRequest, scalar);
  addGoodput(metrics, perRequest, errors, options.serviceLevels, scalar);
  addCache(metrics, ok, scalar);
  addSendLag(metrics, records);
  return metrics;
}

type AddScalar = (name: string, avg: number, unit: string) => void;

function samplesOf(perRequest: readonly RequestMetrics[], name: keyof RequestMetrics): number[] {
  const samples: number[] = [];
  for (const request of perRequest) {
    const value = request[name];
    if (Array.isArray(value)) for (const gap of value) samples.push(gap);
    else if (value !== undefined) samples.push(value);
  }
  return samples;
}

const mismatches = (ok: readonly RequestRecord[], perRequest: readonly RequestMetrics[]): number =>
  ok.filter((record, index) => isOslMismatch(record.asked.osl, perRequest[index]!.output_sequence_length)).length;

/** Benchmark duration = last content − first start, over answered requests. */
function addThroughput(ok: readonly RequestRecord[], perRequest: readonly RequestMetrics[], scalar: AddScalar): void {
  if (ok.length === 0) return;
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let isl = 0;
  let osl = 0;
  ok.forEach((record, index) => {
    start = Math.min(start, record.startMs);
    end = Math.max(end, record.contentMs.at(-1)!);
    isl += perRequest[index]!.input_sequence_length;
    osl += perRequest[index]!.output_sequence_length;
  });
  const seconds = (end - start) / 1_000;
  scalar('benchmark_duration', seconds, 'sec');
  scalar('total_isl', isl, 'tokens');
  scalar('total_osl', osl, 'tokens');
  if (seconds <= 0) return;
  scalar('request_throughput', ok.length / seconds, 'requests/sec');
  scalar('output_token_throughput', osl / seconds, 'tokens/sec');
  scalar('input_token_throughput', isl / seconds, 'tokens/sec');
  scalar('total_token_throughput', (isl + osl) / seconds, 'tokens/sec');
}

/** A failed request is a bad one: it is in the denominator of the fraction. */
function addGoodput(
  metrics: RunMetrics,
  perRequest: readonly RequestMetrics[],
  errors: number,
  levels: readonly ServiceLevel[],
  scalar: AddScalar,
): void {
  if (levels.length === 0) return;
  const good = perRequest.filter((request) => isGood(request, levels)).length;
  scalar('good_request_count', good, 'requests');
  const seconds = metrics['benchmark_duration']?.avg ?? 0;
  if (seconds > 0) scalar('goodput', good / seconds, 'requests/sec');
  if (perRequest.length + errors > 0) scalar('good_request_fraction', good / (perRequest.length + errors), 'ratio');
}

/** Over the responses that say how much of their prompt came from a cache. */
function addCache(metrics: RunMetrics, ok: readonly RequestRecord[], scalar: AddScalar): void {
  const told = ok.flatMap(({ usage }) => (usage && usage.cachedTokens !== null ? [usage] : []));
  const cached = describe(
    told.map((usage) => usage.cachedTokens ?? 0),
    'tokens',
  );
  if (!cached) return;
  metrics['cached_tokens'] = cached;
  const prompt = told.reduce((sum, usage) => sum + usage.promptTokens, 0);
  if (prompt > 0) scalar('cache_hit_fraction', cached.sum / prompt, 'ratio');
}

/** Send time − planned time, in milliseconds: how late the client itself was. */
function addSendLag(metrics: RunMetrics, records: readonly RequestRecord[]): void {
  const lags = records.flatMap(({ scheduledMs, startMs }) => (scheduledMs === null ? [] : [startMs - scheduledMs]));
  const lag = describe(lags, 'ms');
  if (lag) metrics['replay_sched_lag'] = lag;
}
