import { randomUUID } from 'node:crypto';
import { DynamoError } from '../base/errors.ts';
import { packageVersion } from '../base/package-root.ts';
import { arrivalTimes } from './arrivals.ts';
import { BenchClient } from './bench-client.ts';
import type { BenchOptions } from './bench-options.ts';
import { type BenchReport, buildReport } from './bench-report.ts';
import { ClientLoadWatch } from './client-load.ts';
import { driveLoad, type LoadShape } from './load-driver.ts';
import { type PreparedRequest, prepareRequest } from './prepared-request.ts';
import type { RequestRecord } from './request-record.ts';
import { chooseModel, listServedModels } from './served-models.ts';
import { parseTarget, type Target } from './target.ts';
import { readTrace, type Trace } from './trace.ts';
import { syntheticWorkload, traceWorkload, type Workload } from './workload.ts';

export interface BenchRun {
  url: string;
  options: BenchOptions;
  /** The command line, for the report. */
  command: string;
  signal: AbortSignal;
  /** Called as requests end; `total` is unknown when a duration ends the run. */
  onProgress?: (progress: BenchProgress) => void;
}

/** One request has ended. */
export interface BenchProgress {
  phase: 'warmup' | 'profiling';
  total: number | undefined;
  record: RequestRecord;
}

export interface BenchOutcome {
  report: BenchReport;
  records: RequestRecord[];
}

/** Warm-up prompts come from a seed of their own: they must not fill the cache with the measured ones. */
const WARMUP_SEED_OFFSET = 0x5eed;

/**
 * Runs one benchmark: asks for the model, warms up, drives the load, reports. Failed requests are in the report;
 * it throws only for what makes a run impossible: `USAGE`, `TRACE_INVALID`, `CONNECT_FAILED`.
 */
export async function runBench(run: BenchRun): Promise<BenchOutcome> {
  const { options, signal } = run;
  const target = parseTarget(run.url);
  const trace = options.trace && (await readTrace(options.trace.file, options.trace));
  if (trace && options.load.kind === 'schedule' && trace.rows[0]?.timestampMs === null)
    throw new DynamoError('TRACE_INVALID', `${options.trace?.file} has no timestamps to replay`, {
      hint: 'Pass --no-fixed-schedule with --concurrency, or --request-rate.',
    });
  const model = options.model ?? chooseModel(await listServedModels(target, options.headers, signal), target.url);
  const client = new BenchClient({ target, timeoutMs: options.timeoutMs, needsUsage: options.useServerTokenCount });
  try {
    const failedWarmups = await warmUp(run, target, model, client);
    return await profile(run, target, model, trace, client, failedWarmups);
  } finally {
    client.destroy();
  }
}

/** Returns how many warm-up requests failed. */
async function warmUp(run: BenchRun, target: Target, model: string, client: BenchClient): Promise<number> {
  const { options, signal } = run;
  const total = options.warmupRequestCount;
  if (total === 0) return 0;
  const concurrency = Math.min(options.load.concurrency ?? 1, total);
  const workload = syntheticWorkload(options.lengths, options.randomSeed + WARMUP_SEED_OFFSET);
  let failed = 0;
  await driveLoad({
    shape: { kind: 'closed', concurrency },
    next: requestSource(options, target, model, workload, total),
    send: (request, scheduledMs, abort) => client.send(request, scheduledMs, abort),
    onRecord: (record) => {
      if (record.outcome === 'error') failed += 1;
      run.onProgress?.({ phase: 'warmup', total, record });
    },
    durationMs: undefined,
    graceMs: 0,
    signal,
    now: () => performance.now(),
  });
  return failed;
}

async function profile(
  run: BenchRun,
  target: Target,
  model: string,
  trace: Trace | undefined,
  client: BenchClient,
  failedWarmups: number,
): Promise<BenchOutcome> {
  const { options, signal } = run;
  const { randomSeed } = options;
  const workload =
    trace && options.trace
      ? traceWorkload(trace.rows, options.trace.blockSize, randomSeed)
      : syntheticWorkload(options.lengths, randomSeed);
  const total = Math.min(workload.count, options.requestCount ?? Number.POSITIVE_INFINITY);
  const records: RequestRecord[] = [];
  const startTime = new Date();
  const watch = new ClientLoadWatch();
  const result = await driveLoad({
    shape: loadShape(options, workload),
    next: requestSource(options, target, model, workload, total),
    send: (request, scheduledMs, abort) => client.send(request, scheduledMs, abort),
    onRecord: (record) => {
      records.push(record);
      run.onProgress?.({ phase: 'profiling', total: Number.isFinite(total) ? total : undefined, record });
    },
    durationMs: options.durationMs,
    graceMs: options.graceMs,
    signal,
    now: () => performance.now(),
  });
  const clientLoad = watch.stop();
  records.sort((a, b) => a.index - b.index);
  const report = buildReport(records, options, {
    version: packageVersion(),
    benchmarkId: randomUUID().slice(0, 12).replace('-', ''),
    url: target.url,
    model,
    command: run.command,
    startTime,
    endTime: new Date(),
    wasCancelled: result.wasCancelled,
    clientLoad,
    failedWarmups,
    trace:
      trace && options.trace
        ? { ...options.trace, rows: trace.rows.length, cutInputs: trace.cutInputs, cutOutputs: trace.cutOutputs }
        : null,
  });
  return { report, records };
}

function loadShape(options: BenchOptions, workload: Workload): LoadShape {
  const { load, randomSeed } = options;
  if (load.kind === 'concurrency') return { kind: 'closed', concurrency: load.concurrency };
  const { concurrency } = load;
  if (load.kind === 'rate')
    return { kind: 'open', offsets: arrivalTimes(load.pattern, load.requestRate, randomSeed), concurrency };
  return { kind: 'open', offsets: scheduleTimes(workload, options.trace?.speedupRatio ?? 1), concurrency };
}

/** Send times of a trace, in milliseconds of real time from its first row. A trace without times is sent at once. */
function* scheduleTimes(workload: Workload, speedupRatio: number): Generator<number> {
  for (let index = 0; index < workload.count; index += 1) yield (workload.at(index).timestampMs ?? 0) / speedupRatio;
}

function requestSource(
  options: BenchOptions,
  target: Target,
  model: string,
  workload: Workload,
  total: number,
): () => PreparedRequest | undefined {
  const { endpointType, streaming, exactOutput, extraInputs, headers } = options;
  const shape = { target, endpointType, model, streaming, exactOutput, extraInputs, headers };
  const runId = randomUUID().slice(0, 8);
  let index = 0;
  return () => {
    if (index >= total) return undefined;
    const item = workload.at(index);
    const request = prepareRequest(shape, {
      index,
      requestId: `bench-${runId}-${index}`,
      asked: item.asked,
      prompt: item.prompt(),
    });
    index += 1;
    return request;
  };
}
