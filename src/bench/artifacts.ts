import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { explainWriteError, writeFileAtomic } from '../base/atomic-file.ts';
import type { BenchReport } from './bench-report.ts';
import { reportToJson } from './report-json.ts';
import { METRIC_UNIT, measureRequest, type RequestMetrics } from './request-metrics.ts';
import type { RequestRecord } from './request-record.ts';
import { PERCENTILES } from './statistics.ts';

/**
 * Writes AIPerf's files: `profile_export_aiperf.json`, `profile_export_aiperf.csv` and `profile_export.jsonl` (a line per request).
 * Returns their paths. Throws `DISK_FULL` or `STATE_UNREADABLE`.
 */
export function writeArtifacts(folder: string, report: BenchReport, records: readonly RequestRecord[]): string[] {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw explainWriteError(error, folder);
  }
  const files: [name: string, text: string][] = [
    ['profile_export_aiperf.json', `${JSON.stringify(reportToJson(report), null, 2)}\n`],
    ['profile_export_aiperf.csv', reportToCsv(report)],
    ['profile_export.jsonl', records.map((record) => `${JSON.stringify(recordToJson(record, report))}\n`).join('')],
  ];
  return files.map(([name, text]) => {
    const file = path.join(folder, name);
    writeFileAtomic(file, text, { mode: 0o644 });
    return file;
  });
}

const STATS = ['avg', 'min', 'max', 'sum', ...PERCENTILES.map((p) => `p${p}` as const), 'std'] as const;

/** Two blocks as AIPerf has them: metrics with a distribution, then metrics that are one number. */
export function reportToCsv({ metrics }: BenchReport): string {
  const entries = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  const distributions: string[] = [`Metric,${STATS.join(',')}`];
  const scalars: string[] = ['Metric,Value'];
  for (const [name, metric] of entries) {
    const label = `${name} (${metric.unit})`;
    if ('p50' in metric) distributions.push([label, ...STATS.map((stat) => metric[stat].toFixed(2))].join(','));
    else scalars.push(`${label},${metric.avg.toFixed(2)}`);
  }
  return `${distributions.join('\n')}\n\n${scalars.join('\n')}\n`;
}

/** One request in AIPerf's per-record shape; wall-clock nanoseconds are derived from the monotonic clock. */
function recordToJson(record: RequestRecord, report: BenchReport): Record<string, unknown> {
  const metrics = record.outcome === 'ok' ? measureRequest(record, report.options.streaming) : {};
  return {
    metadata: {
      session_num: record.index,
      x_request_id: record.requestId,
      conversation_id: `session_${String(record.index).padStart(6, '0')}`,
      turn_index: 0,
      request_start_ns: wallClockNs(record.startMs),
      request_end_ns: wallClockNs(record.endMs),
      benchmark_phase: 'profiling',
      was_cancelled: record.outcome === 'cancelled',
      scheduled_ns: record.scheduledMs === null ? null : wallClockNs(record.scheduledMs),
      prefill_worker: record.servedBy.prefill,
      decode_worker: record.servedBy.decode,
      // Of a request that failed too: whether it had begun to be answered, and the longest silence in the answer.
      content_chunks: record.contentMs.length,
      longest_gap_ns: longestGapMs(record.contentMs) * 1e6,
    },
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([name, value]) => [
        name,
        { value, unit: METRIC_UNIT[name as keyof RequestMetrics] },
      ]),
    ),
    usage: record.usage && {
      prompt_tokens: record.usage.promptTokens,
      completion_tokens: record.usage.completionTokens,
      cached_tokens: record.usage.cachedTokens,
    },
    error: record.error,
  };
}

/** 0 for fewer than two chunks. */
function longestGapMs(contentMs: readonly number[]): number {
  return contentMs.reduce((longest, at, index) => Math.max(longest, at - (contentMs[index - 1] ?? at)), 0);
}

/** Milliseconds since the epoch have 13 digits and a double 15 to 16, so microseconds are what is left. */
const wallClockNs = (ms: number): number => Math.round((performance.timeOrigin + ms) * 1e3) * 1e3;
