import type { BenchOptions } from './bench-options.ts';
import type { BenchReport } from './bench-report.ts';

/** Schema of AIPerf's `profile_export_aiperf.json` that the metric objects follow. */
const AIPERF_SCHEMA = '1.4';

/** The report as one JSON document: AIPerf's top level (a metric object per name), with what AIPerf has no place for under `dynamo`. */
export function reportToJson(report: BenchReport): Record<string, unknown> {
  const { facts, metrics, options } = report;
  return {
    schema_version: AIPERF_SCHEMA,
    generator: `dynamo-serve ${facts.version}`,
    benchmark_id: facts.benchmarkId,
    ...metrics,
    input_config: inputConfig(report),
    run_info: {
      benchmark_id: facts.benchmarkId,
      random_seed: options.randomSeed,
      trial: 0,
      cli_command: facts.command,
    },
    was_cancelled: facts.wasCancelled,
    is_complete: !facts.wasCancelled,
    error_summary: report.errors.map(({ count, ...details }) => ({ error_details: details, count })),
    start_time: facts.startTime.toISOString(),
    end_time: facts.endTime.toISOString(),
    dynamo: {
      cancelled_requests: report.cancelledRequests,
      resent_requests: report.resentRequests,
      workers: report.workers,
      degraded: report.degraded,
      warnings: report.warnings,
      token_counts: options.useServerTokenCount ? 'server usage' : 'client',
      trace: facts.trace && {
        file: facts.trace.file,
        rows: facts.trace.rows,
        block_size: facts.trace.blockSize,
        speedup_ratio: facts.trace.speedupRatio,
        cut_inputs: facts.trace.cutInputs,
        cut_outputs: facts.trace.cutOutputs,
      },
      client: {
        cpu_cores: facts.clientLoad.cpuCores,
        event_loop_utilization: facts.clientLoad.eventLoopUtilization,
        event_loop_delay_p99_ms: facts.clientLoad.eventLoopDelayP99Ms,
        saturated: facts.clientLoad.saturated,
      },
    },
  };
}

function inputConfig({ facts, options }: BenchReport): Record<string, unknown> {
  return {
    models: { items: [{ name: facts.model }] },
    endpoint: {
      urls: [facts.url],
      type: options.endpointType,
      streaming: options.streaming,
      use_server_token_count: options.useServerTokenCount,
      extra: { ...(options.exactOutput ? { ignore_eos: true } : {}), ...options.extraInputs },
    },
    datasets: [dataset(options)],
    phases: [phase(options)],
    goodput: Object.fromEntries(options.serviceLevels.map(({ metric, limit }) => [metric, limit])),
  };
}

function dataset(options: BenchOptions): Record<string, unknown> {
  if (options.trace) {
    const { file, blockSize, maxRows, maxIsl, maxOsl } = options.trace;
    return {
      name: 'main',
      type: 'mooncake_trace',
      file,
      block_size: blockSize,
      max_rows: maxRows,
      max_isl: maxIsl,
      max_osl: maxOsl,
    };
  }
  const { isl, islStddev, osl, oslStddev } = options.lengths;
  return {
    name: 'main',
    type: 'synthetic',
    random_seed: options.randomSeed,
    prompts: { isl: { mean: isl, stddev: islStddev }, osl: { mean: osl, stddev: oslStddev } },
  };
}

function phase(options: BenchOptions): Record<string, unknown> {
  const { load } = options;
  return {
    name: 'profiling',
    kind: 'profiling',
    type: load.kind === 'schedule' ? 'fixed_schedule' : load.kind === 'rate' ? load.pattern : 'concurrency',
    requests: options.requestCount,
    duration_seconds: options.durationMs === undefined ? undefined : options.durationMs / 1_000,
    concurrency: load.concurrency,
    rate: load.kind === 'rate' ? load.requestRate : undefined,
    speedup_ratio: load.kind === 'schedule' ? options.trace?.speedupRatio : undefined,
    warmup_requests: options.warmupRequestCount,
  };
}
