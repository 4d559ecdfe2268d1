import type { RequestRecord } from './request-record.ts';

/** What an answered request measures, by AIPerf's names. A metric the response cannot have (no stream, one token) is absent. */
export interface RequestMetrics {
  request_latency: number;
  output_sequence_length: number;
  input_sequence_length: number;
  e2e_output_token_throughput: number;
  osl_mismatch_diff_pct: number;
  time_to_first_token?: number;
  time_to_second_token?: number;
  time_to_first_output_token?: number;
  inter_token_latency?: number;
  decode_duration?: number;
  output_token_throughput_per_user?: number;
  prefill_throughput_per_user?: number;
  /** Every gap between two chunks with content. */
  inter_chunk_latency?: number[];
}

/** Units as AIPerf writes them. */
export const METRIC_UNIT: Record<keyof RequestMetrics, string> = {
  request_latency: 'ms',
  output_sequence_length: 'tokens',
  input_sequence_length: 'tokens',
  e2e_output_token_throughput: 'tokens/sec/user',
  osl_mismatch_diff_pct: '%',
  time_to_first_token: 'ms',
  time_to_second_token: 'ms',
  time_to_first_output_token: 'ms',
  inter_token_latency: 'ms',
  decode_duration: 'ms',
  output_token_throughput_per_user: 'tokens/sec/user',
  prefill_throughput_per_user: 'tokens/sec/user',
  inter_chunk_latency: 'ms',
};

/**
 * Metrics of one answered request, defined as AIPerf does (its metrics reference, schema 1.4):
 * TTFT = first content − start; latency = last content − start; ITL = (latency − TTFT) / (OSL − 1), one value per request.
 * Lengths come from the server's usage, or from what was asked and the number of chunks where there is none.
 */
export function measureRequest(record: RequestRecord, streaming: boolean): RequestMetrics {
  const { startMs, contentMs, usage, asked } = record;
  const first = contentMs[0]!;
  const last = contentMs.at(-1)!;
  const isl = usage?.promptTokens ?? asked.isl;
  const osl = usage?.completionTokens ?? contentMs.length;
  const latency = last - startMs;
  const metrics: RequestMetrics = {
    request_latency: latency,
    output_sequence_length: osl,
    input_sequence_length: isl,
    e2e_output_token_throughput: (osl / latency) * 1_000,
    osl_mismatch_diff_pct: ((osl - asked.osl) / asked.osl) * 100,
  };
  if (!streaming) return metrics;
  const ttft = first - startMs;
  metrics.time_to_first_token = ttft;
  if (record.firstOutputMs !== null) metrics.time_to_first_output_token = record.firstOutputMs - startMs;
  metrics.prefill_throughput_per_user = (isl / ttft) * 1_000;
  metrics.decode_duration = last - first;
  if (contentMs.length > 1) {
    metrics.time_to_second_token = contentMs[1]! - first;
    metrics.inter_chunk_latency = contentMs.slice(1).map((at, index) => at - contentMs[index]!);
  }
  if (osl > 1) {
    const itl = (latency - ttft) / (osl - 1);
    metrics.inter_token_latency = itl;
    // A whole answer in one socket read has no rate.
    if (itl > 0) metrics.output_token_throughput_per_user = 1_000 / itl;
  }
  return metrics;
}

/** AIPerf's rule: an output length is off when it differs by more than 5 % of what was asked, or by more than 50 tokens. */
export function isOslMismatch(askedOsl: number, osl: number): boolean {
  return Math.abs(askedOsl - osl) > Math.min(0.05 * askedOsl, 50);
}
