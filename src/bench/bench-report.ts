import type { BenchOptions } from './bench-options.ts';
import type { ClientLoad } from './client-load.ts';
import type { RequestRecord } from './request-record.ts';
import { measureRun, type RunMetrics } from './run-metrics.ts';

/** Facts of a run that its records do not hold. */
export interface RunFacts {
  version: string;
  benchmarkId: string;
  url: string;
  model: string;
  command: string;
  startTime: Date;
  endTime: Date;
  wasCancelled: boolean;
  clientLoad: ClientLoad;
  failedWarmups: number;
  /** What was done to a trace; null for synthetic prompts. */
  trace: TraceFacts | null;
}

export interface TraceFacts {
  file: string;
  rows: number;
  blockSize: number;
  speedupRatio: number;
  cutInputs: number;
  cutOutputs: number;
}

/** Everything a run reports. `metrics` by AIPerf's names; the rest is ours. */
export interface BenchReport {
  facts: RunFacts;
  options: BenchOptions;
  metrics: RunMetrics;
  errors: ErrorCount[];
  cancelledRequests: number;
  /** Requests sent a second time over a new connection. */
  resentRequests: number;
  /** Mean input length asked for, over the answered requests. */
  askedInputTokens: number;
  workers: WorkerCount[];
  /** p99 of the send lag over 500 ms: the load was not the one asked for. Null without send times. */
  degraded: boolean | null;
  warnings: string[];
}

export interface ErrorCount {
  code: number | null;
  type: string;
  message: string;
  count: number;
}

/** Answered requests by the workers that the response named. */
export interface WorkerCount {
  prefill: string | null;
  decode: string | null;
  count: number;
}

/** AIPerf's limit for a replay that kept its schedule. */
const MAX_SEND_LAG_P99_MS = 500;

/** Pure: records of the measured phase and the facts of the run → the report. */
export function buildReport(records: readonly RequestRecord[], options: BenchOptions, facts: RunFacts): BenchReport {
  const metrics = measureRun(records, options);
  const lag = metrics['replay_sched_lag'];
  const degraded = lag && 'p99' in lag ? lag.p99 > MAX_SEND_LAG_P99_MS : null;
  const report: BenchReport = {
    facts,
    options,
    metrics,
    errors: countErrors(records),
    cancelledRequests: records.filter((record) => record.outcome === 'cancelled').length,
    askedInputTokens: meanAskedInput(records),
    resentRequests: records.filter((record) => record.resent).length,
    workers: countWorkers(records),
    degraded,
    warnings: [],
  };
  report.warnings = findWarnings(report);
  return report;
}

function countBy<T extends { count: number }>(entries: Iterable<[key: string, make: () => T]>): T[] {
  const counts = new Map<string, T>();
  for (const [key, make] of entries) {
    const entry = counts.get(key) ?? make();
    entry.count += 1;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

function countErrors(records: readonly RequestRecord[]): ErrorCount[] {
  const errors = records.flatMap(({ error }) => (error ? [error] : []));
  return countBy(errors.map((error) => [JSON.stringify(error), () => ({ ...error, count: 0 })]));
}

function countWorkers(records: readonly RequestRecord[]): WorkerCount[] {
  const served = records.filter(
    ({ outcome, servedBy }) => outcome === 'ok' && (servedBy.prefill ?? servedBy.decode) !== null,
  );
  return countBy(
    served.map(({ servedBy }) => [`${servedBy.prefill} ${servedBy.decode}`, () => ({ ...servedBy, count: 0 })]),
  );
}

function findWarnings(report: BenchReport): string[] {
  const { metrics, options, facts } = report;
  const value = (name: string): number => metrics[name]?.avg ?? 0;
  const warnings: string[] = [];
  const answered = value('request_count');
  if (answered === 0) warnings.push('No request was answered: there is nothing to measure.');
  if (facts.failedWarmups > 0) warnings.push(`${facts.failedWarmups} warm-up requests failed.`);
  if (facts.clientLoad.saturated) {
    const { eventLoopUtilization, cpuCores } = facts.clientLoad;
    warnings.push(
      `The client was busy ${Math.round(eventLoopUtilization * 100)} % of the time on ${cpuCores.toFixed(2)} cores: it, or a lack of cores for it, may have set the pace, not the server.`,
    );
  }
  if (report.degraded)
    warnings.push('Degraded: p99 of the send lag is over 500 ms, so the load was lighter than asked for.');
  if (report.resentRequests > 0)
    warnings.push(
      `${report.resentRequests} requests were sent a second time: the server had closed their kept-alive connection.`,
    );
  const off = value('osl_mismatch_count');
  if (off > 0)
    warnings.push(`${off} of ${answered} outputs differ from the length asked for by more than 5 % or 50 tokens.`);
  const extraInput = addedInputTokens(report);
  if (extraInput !== 0)
    warnings.push(
      `The server counts ${Math.abs(extraInput)} ${extraInput > 0 ? 'more' : 'fewer'} input tokens a request than were asked for: ${options.endpointType === 'chat' ? 'the chat template, or a' : 'a'} vocabulary that splits the words otherwise.`,
    );
  if (!options.useServerTokenCount)
    warnings.push('Token counts are the client’s: output = chunks with content, input = what was asked for.');
  const cuts = [
    [facts.trace?.cutInputs ?? 0, 'inputs', options.trace?.maxIsl] as const,
    [facts.trace?.cutOutputs ?? 0, 'outputs', options.trace?.maxOsl] as const,
  ].filter(([count]) => count > 0);
  if (cuts.length > 0)
    warnings.push(
      `The trace was cut: ${cuts.map(([count, what, limit]) => `${count} ${what} to ${limit} tokens`).join(', ')}.`,
    );
  if (options.load.kind === 'concurrency' && answered > 0 && options.load.concurrency / answered > 0.1)
    warnings.push(
      `${Math.round(Math.min(1, options.load.concurrency / answered) * 100)} % of the requests belong to the first burst of ${options.load.concurrency}, which raises the time to first token; send more requests.`,
    );
  return warnings;
}

function meanAskedInput(records: readonly RequestRecord[]): number {
  const ok = records.filter((record) => record.outcome === 'ok');
  return ok.length === 0 ? 0 : ok.reduce((sum, { asked }) => sum + asked.isl, 0) / ok.length;
}

/** Mean difference between input lengths served and asked for, in whole tokens. */
function addedInputTokens({ metrics, askedInputTokens }: BenchReport): number {
  const served = metrics['input_sequence_length'];
  return served ? Math.round(served.avg - askedInputTokens) : 0;
}
