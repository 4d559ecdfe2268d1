import { BlockKeys } from './block-keys.ts';
import type { ScheduledRequest } from './request.ts';
import { Scheduler, type SchedulerConfig } from './scheduler.ts';
import type { SchedulerStats } from './step-result.ts';

/** One request of a trace in Mooncake's form. */
export interface TraceRow {
  /** Milliseconds since the trace began. */
  timestamp: number;
  input_length: number;
  output_length: number;
  /** One number for each `traceBlockSize` tokens of the prompt, the last run possibly partial; equal numbers, equal text. */
  hash_ids: number[];
}

/** What a routing function may look at. */
export interface ReplayWorker {
  index: number;
  running: number;
  waiting: number;
  /** Blocks in use, 0 to 1. */
  kvUsage: number;
  /** Prompt and output tokens of the requests it has now. */
  tokensInFlight: number;
}

export interface ReplayRequest {
  /** Position in the rows. */
  index: number;
  promptTokens: number;
  outputTokens: number;
  /** Keys of the prompt's full blocks, in order: equal keys, equal prefixes. Treat them as opaque. */
  keys: BlockKeys;
}

export interface ReplayOptions {
  rows: readonly TraceRow[];
  workers: number;
  config: SchedulerConfig;
  /** Index of the worker that gets the request. Called in order of arrival. */
  pick(workers: readonly ReplayWorker[], request: ReplayRequest): number;
  /** The first token of a request is there (its prefill is done). */
  onFirstToken?(request: ReplayRequest, worker: number): void;
  onFinish?(request: ReplayRequest, worker: number): void;
  /** Tokens per hash id; 512 in Mooncake's traces. */
  traceBlockSize?: number;
  /** Divides the gaps between arrivals. */
  traceSpeedup?: number;
}

export interface ReplayResult {
  promptTokens: number;
  /** Prompt tokens found in a prefix cache. */
  cachedTokens: number;
  outputTokens: number;
  steps: number;
  preemptions: number;
  /** Virtual milliseconds from the start of the trace to the last token. */
  durationMs: number;
  /** By row, in milliseconds: arrival to first token, and arrival to last token. */
  ttftMs: Float64Array;
  e2eMs: Float64Array;
  /** By row: the worker that had it, and prompt tokens it found cached. */
  worker: Int32Array;
  cached: Int32Array;
  /** Each worker's counters at the end. */
  stats: SchedulerStats[];
}

/** The keys of a trace row's prompt at a block size that divides the trace's own. */
export function traceKeys(row: TraceRow, blockSize: number, traceBlockSize = 512): BlockKeys {
  const perId = traceBlockSize / blockSize;
  if (!Number.isInteger(perId))
    throw new RangeError(`blocks of ${blockSize} do not divide the trace's ${traceBlockSize}`);
  const count = Math.floor(row.input_length / blockSize);
  const keys = new BlockKeys(blockSize, count + Math.ceil(row.output_length / blockSize));
  for (let block = 0; block < count; block += 1) {
    keys.pushBlock((row.hash_ids[Math.floor(block / perId)] ?? -1 - block) * perId + (block % perId));
  }
  return keys;
}

interface Sim {
  scheduler: Scheduler<ReplayRequest>;
  view: ReplayWorker;
  /** When the step in progress ends; Infinity when idle. */
  endsAt: number;
}

/**
 * Replays a trace over simulated workers in virtual time: as fast as the processor goes, with a result that depends on
 * nothing but the arguments. Throws a RangeError for a row that cannot fit into a worker, or a pick out of range.
 */
export function replayTrace(options: ReplayOptions): ReplayResult {
  const { rows, config, traceSpeedup = 1 } = options;
  const workers = Array.from({ length: options.workers }, (_, index) => createWorker(index, config));
  const views = workers.map((worker) => worker.view);
  const result = emptyResult(rows.length);
  let nextRow = 0;
  let now = 0;

  const arrivalOf = (row: number) => rows[row]!.timestamp / traceSpeedup;
  const arrive = (row: number): void => {
    const { input_length: promptTokens, output_length: outputTokens } = rows[row]!;
    const keys = traceKeys(rows[row]!, config.blockSize, options.traceBlockSize);
    const request: ReplayRequest = { index: row, promptTokens, outputTokens, keys };
    const chosen = options.pick(views, request);
    const worker = workers[chosen];
    if (!worker) throw new RangeError(`picked worker ${chosen} of ${workers.length}`);
    worker.scheduler.add({ promptTokens, outputTokens, keys, owner: request });
    worker.view.tokensInFlight += promptTokens + outputTokens;
    result.worker[row] = chosen;
    result.promptTokens += promptTokens;
    refresh(worker);
    if (worker.endsAt === Number.POSITIVE_INFINITY) begin(worker);
  };
  const begin = (worker: Sim): void => {
    const step = worker.scheduler.begin();
    worker.endsAt = step.durationMs > 0 ? now + step.durationMs : Number.POSITIVE_INFINITY;
    for (const request of step.admitted) {
      result.cachedTokens += request.cachedTokens;
      result.cached[request.owner.index] = request.cachedTokens;
    }
  };
  const end = (worker: Sim): void => {
    const step = worker.scheduler.end();
    result.outputTokens += step.produced.length;
    for (const request of step.produced) {
      pushGeneratedToken(request);
      if (request.produced !== 1) continue;
      result.ttftMs[request.owner.index] = now - arrivalOf(request.owner.index);
      options.onFirstToken?.(request.owner, worker.view.index);
    }
    for (const request of step.finished) {
      result.e2eMs[request.owner.index] = now - arrivalOf(request.owner.index);
      worker.view.tokensInFlight -= request.promptTokens + request.outputTokens;
      options.onFinish?.(request.owner, worker.view.index);
    }
    refresh(worker);
    begin(worker);
  };

  for (;;) {
    const next = earliest(workers);
    const arrival = nextRow < rows.length ? arrivalOf(nextRow) : Number.POSITIVE_INFINITY;
    const endsAt = next?.endsAt ?? Number.POSITIVE_INFINITY;
    if (arrival === Number.POSITIVE_INFINITY && endsAt === Number.POSITIVE_INFINITY) break;
    now = Math.max(now, Math.min(arrival, endsAt));
    if (arrival <= endsAt) arrive(nextRow++);
    else end(next!);
  }
  return finish(result, workers, now);
}

/** Generated blocks are cached too, under keys no other request has. */
function pushGeneratedToken(request: ScheduledRequest<ReplayRequest>): void {
  const { keys, index } = request.owner;
  const total = request.promptTokens + request.produced;
  if (total % keys.blockSize === 0 && keys.count < total / keys.blockSize) keys.pushBlock(-1 - index);
}

function createWorker(index: number, config: SchedulerConfig): Sim {
  return {
    scheduler: new Scheduler<ReplayRequest>(config),
    view: { index, running: 0, waiting: 0, kvUsage: 0, tokensInFlight: 0 },
    endsAt: Number.POSITIVE_INFINITY,
  };
}

function refresh({ scheduler, view }: Sim): void {
  view.running = scheduler.running.length;
  view.waiting = scheduler.waitingCount;
  view.kvUsage = 1 - scheduler.pool.free / scheduler.pool.total;
}

function earliest(workers: readonly Sim[]): Sim | undefined {
  let best: Sim | undefined;
  for (const worker of workers) if (best === undefined || worker.endsAt < best.endsAt) best = worker;
  return best;
}

function emptyResult(rows: number): ReplayResult {
  return {
    promptTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    steps: 0,
    preemptions: 0,
    durationMs: 0,
    ttftMs: new Float64Array(rows),
    e2eMs: new Float64Array(rows),
    worker: new Int32Array(rows),
    cached: new Int32Array(rows),
    stats: [],
  };
}

function finish(result: ReplayResult, workers: readonly Sim[], now: number): ReplayResult {
  result.durationMs = now;
  result.stats = workers.map((worker) => worker.scheduler.stats());
  for (const stats of result.stats) {
    result.steps += stats.steps;
    result.preemptions += stats.preemptions;
  }
  return result;
}
