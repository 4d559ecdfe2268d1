import { type BlockEvents, BlockPool } from './block-pool.ts';
import { type RequestOptions, ScheduledRequest } from './request.ts';
import { RequestBlocks } from './request-blocks.ts';
import { RequestQueue } from './request-queue.ts';
import { emptyStepResult, type SchedulerStats, type StepResult } from './step-result.ts';
import { decodeMs, prefillMs } from './timing.ts';

export interface SchedulerConfig {
  /** Tokens per KV block. */
  blockSize: number;
  /** Blocks in the KV cache. */
  totalBlocks: number;
  /** Most requests in one step. */
  maxNumSeqs: number;
  /** Most tokens computed in one step, over all requests. */
  maxNumBatchedTokens: number;
  enablePrefixCaching?: boolean;
  /** Let a prompt be computed over several steps; else it waits until it fits into one. */
  enableChunkedPrefill?: boolean;
  /** Divides all times. */
  speedupRatio?: number;
  /** Divides decode times in addition. */
  decodeSpeedupRatio?: number;
  events?: BlockEvents;
}

/**
 * The batching scheduler of a simulated engine, under whatever clock the caller keeps: it says how long a step takes and
 * never waits. Follows vLLM: requests already running come first, all share one token budget, long prompts are computed
 * in chunks, the youngest running request is preempted when blocks run out and computed again later, full blocks are
 * reused by prefix, and at least the last token of a prompt is always computed.
 *
 * A step is `begin` (decides, takes blocks), the caller lets `durationMs` pass, then `end` (tokens appear). Requests may be
 * added, stopped and aborted in between.
 */
export class Scheduler<T = unknown> {
  readonly config: SchedulerConfig;
  readonly pool: BlockPool;
  readonly #blocks: RequestBlocks;
  readonly #waiting = new RequestQueue<ScheduledRequest<T>>();
  /** Loaded from elsewhere and waiting for a place in the batch; they hold blocks, so they go first. */
  readonly #loaded = new RequestQueue<ScheduledRequest<T>>();
  #running: ScheduledRequest<T>[] = [];
  readonly #batch: ScheduledRequest<T>[] = [];
  readonly #result: StepResult<T> = emptyStepResult();
  #contextTokens = 0;
  #loading = 0;
  #held = 0;
  #prefixQueries = 0;
  #prefixHits = 0;
  #preemptions = 0;
  #steps = 0;

  constructor(config: SchedulerConfig) {
    this.config = config;
    this.pool = new BlockPool(config.totalBlocks, config.events);
    this.#blocks = new RequestBlocks(this.pool, config.blockSize, config.enablePrefixCaching ?? true);
  }

  /** Queues a request. Throws a RangeError for one that could never fit into the KV cache. */
  add(options: RequestOptions<T>): ScheduledRequest<T> {
    const { blockSize, totalBlocks, maxNumBatchedTokens } = this.config;
    const maxBlocks = Math.ceil((options.promptTokens + options.outputTokens) / blockSize);
    if (options.promptTokens < 1 || options.outputTokens < 1) throw new RangeError('a request needs a token each way');
    if (maxBlocks > totalBlocks) throw new RangeError(`${maxBlocks} blocks needed, ${totalBlocks} exist`);
    if (
      this.config.enableChunkedPrefill === false &&
      options.promptTokens + options.outputTokens > maxNumBatchedTokens
    ) {
      throw new RangeError(`without chunked prefill a request must fit into ${maxNumBatchedTokens} tokens`);
    }
    const request = new ScheduledRequest(options, maxBlocks);
    this.#waiting.push(request);
    return request;
  }

  /** Whether `begin` may find something to do. */
  get hasWork(): boolean {
    return this.#running.length > 0 || this.#waiting.length > 0 || this.#loaded.length > 0;
  }

  get running(): readonly ScheduledRequest<T>[] {
    return this.#running;
  }

  get waitingCount(): number {
    return this.#waiting.length + this.#loaded.length + this.#loading;
  }

  /** `begin` and `end` in one: for virtual time. */
  step(): StepResult<T> {
    this.begin();
    return this.end();
  }

  /**
   * Decides the next step. Returns its duration in milliseconds, 0 when no token can be computed now (nothing to do, or
   * everything waits for blocks or loads). `loading`, `admitted` and `preempted` of the result are filled.
   */
  begin(): StepResult<T> {
    const result = this.#result;
    result.admitted.length = 0;
    result.preempted.length = 0;
    result.loading.length = 0;
    result.produced.length = 0;
    result.finished.length = 0;
    result.prefillTokens = 0;
    result.decodeRequests = 0;
    this.#batch.length = 0;
    this.#contextTokens = 0;
    const left = this.#scheduleRunning(this.config.maxNumBatchedTokens);
    // Whoever was preempted would only take the blocks back; but a step without anybody helps nobody.
    if (result.preempted.length === 0 || this.#batch.length === 0) this.#scheduleWaiting(left);
    result.durationMs = this.#duration();
    if (this.#batch.length > 0) this.#steps += 1;
    return result;
  }

  /** The step is over: its tokens are there. */
  end(): StepResult<T> {
    const { produced, finished } = this.#result;
    for (const request of this.#batch) {
      // Aborted while the step ran.
      if (request.state !== 'running') continue;
      request.computed += request.scheduled;
      request.scheduled = 0;
      if (request.computed < request.promptTokens + request.produced) continue;
      request.produced += 1;
      produced.push(request);
      if (request.produced === request.outputTokens) finished.push(request);
    }
    this.#batch.length = 0;
    for (const request of finished) this.stop(request);
    return this.#result;
  }

  /** Ends a request that has produced what it should: its blocks are freed, or held when it was added so. */
  stop(request: ScheduledRequest<T>): void {
    if (request.state === 'finished' || request.state === 'held') return;
    if (!request.holdsBlocks) {
      this.abort(request);
      return;
    }
    this.#leave(request);
    request.state = 'held';
    this.#held += 1;
  }

  /** Ends a request wherever it is and frees its blocks at once. Ending it again does nothing. */
  abort(request: ScheduledRequest<T>): void {
    if (request.state === 'finished') return;
    if (request.state === 'held') this.#held -= 1;
    else this.#leave(request);
    request.state = 'finished';
    this.#blocks.free(request);
  }

  /** The KV cache of a `loading` request has arrived. */
  loaded(request: ScheduledRequest<T>): void {
    if (request.state !== 'loading') return;
    this.#loading -= 1;
    // The last token is computed here, as vLLM does, to get the first output token.
    request.computed = request.promptTokens - 1;
    this.#blocks.store(request, request.promptTokens);
    request.state = 'loaded';
    this.#loaded.push(request);
  }

  /** The KV cache of a `loading` request will not come: it computes its prompt itself. (To fail it instead, `abort` it.) */
  loadFailed(request: ScheduledRequest<T>): void {
    if (request.state !== 'loading') return;
    this.#loading -= 1;
    this.#blocks.free(request);
    request.computed = 0;
    request.externalTokens = 0;
    request.loadsRemotely = false;
    request.state = 'waiting';
    this.#waiting.pushFront(request);
  }

  stats(): SchedulerStats {
    return {
      running: this.#running.length,
      waiting: this.waitingCount,
      loading: this.#loading,
      held: this.#held,
      totalBlocks: this.pool.total,
      activeBlocks: this.pool.total - this.pool.free,
      cachedBlocks: this.pool.cached,
      prefixQueries: this.#prefixQueries,
      prefixHits: this.#prefixHits,
      preemptions: this.#preemptions,
      steps: this.#steps,
    };
  }

  /** Gives running requests their tokens, the longest running first. Returns the budget left. */
  #scheduleRunning(budget: number): number {
    let left = budget;
    for (let index = 0; index < this.#running.length && left > 0; index += 1) {
      const request = this.#running[index]!;
      const tokens = Math.min(request.promptTokens + request.produced - request.computed, left);
      let fits = this.#blocks.take(request, tokens);
      while (!fits) {
        const victim = this.#running[this.#running.length - 1]!;
        this.#preempt(victim);
        if (victim === request) break;
        fits = this.#blocks.take(request, tokens);
      }
      if (!fits) break;
      this.#schedule(request, tokens);
      left -= tokens;
    }
    return left;
  }

  /** Fills the batch up from those that loaded their prompt, then from the queue, in order. */
  #scheduleWaiting(budget: number): void {
    let left = budget;
    while (left > 0 && this.#running.length < this.config.maxNumSeqs) {
      const request = this.#loaded.peek();
      if (!request) break;
      const tokens = Math.min(request.promptTokens + request.produced - request.computed, left);
      if (!this.#blocks.take(request, tokens)) return;
      this.#loaded.shift();
      left -= tokens;
      this.#admit(request, tokens);
    }
    while (left > 0 && this.#running.length < this.config.maxNumSeqs) {
      const request = this.#waiting.peek();
      if (!request) return;
      const total = request.promptTokens + request.produced;
      const matched = this.#blocks.countMatches(request, total);
      const computed = matched * this.config.blockSize;
      if (!this.#blocks.fits(request, matched, total)) return;
      let tokens = total - computed;
      if (tokens > left) {
        if (this.config.enableChunkedPrefill === false) return;
        tokens = left;
      }
      this.#waiting.shift();
      this.#blocks.takeMatches(request, matched);
      request.computed = computed;
      this.#countQuery(request, computed);
      if (request.loadsRemotely && request.produced === 0) {
        this.#startLoading(request);
        continue;
      }
      this.#blocks.take(request, tokens);
      left -= tokens;
      this.#admit(request, tokens);
    }
  }

  #startLoading(request: ScheduledRequest<T>): void {
    request.externalTokens = request.promptTokens - request.computed;
    this.#blocks.take(request, request.externalTokens);
    request.state = 'loading';
    this.#loading += 1;
    this.#result.loading.push(request);
  }

  #admit(request: ScheduledRequest<T>, tokens: number): void {
    if (request.produced === 0 && request.preemptions === 0) this.#result.admitted.push(request);
    request.state = 'running';
    this.#running.push(request);
    this.#schedule(request, tokens);
  }

  #schedule(request: ScheduledRequest<T>, tokens: number): void {
    request.scheduled = tokens;
    this.#contextTokens += request.computed + tokens;
    if (request.produced > 0 && tokens === 1 && request.computed === request.promptTokens + request.produced - 1) {
      this.#result.decodeRequests += 1;
    } else this.#result.prefillTokens += tokens;
    this.#blocks.store(request, request.computed + tokens);
    this.#batch.push(request);
  }

  #duration(): number {
    if (this.#batch.length === 0) return 0;
    const { speedupRatio = 1, decodeSpeedupRatio = 1 } = this.config;
    const share = this.#contextTokens / (this.pool.total * this.config.blockSize);
    const decode = this.#result.decodeRequests > 0 ? decodeMs(share) / decodeSpeedupRatio : 0;
    return (prefillMs(this.#result.prefillTokens) + decode) / speedupRatio;
  }

  #countQuery(request: ScheduledRequest<T>, computed: number): void {
    if (request.cachedTokens >= 0) return;
    request.cachedTokens = computed;
    this.#prefixQueries += request.promptTokens;
    this.#prefixHits += computed;
  }

  #preempt(request: ScheduledRequest<T>): void {
    this.#running.pop();
    this.#blocks.free(request);
    request.computed = 0;
    request.scheduled = 0;
    request.externalTokens = 0;
    request.loadsRemotely = false;
    request.preemptions += 1;
    request.state = 'waiting';
    this.#preemptions += 1;
    this.#waiting.pushFront(request);
    this.#result.preempted.push(request);
  }

  /** Takes the request out of whichever queue its state names. */
  #leave(request: ScheduledRequest<T>): void {
    if (request.state === 'running') this.#running.splice(this.#running.indexOf(request), 1);
    else if (request.state === 'waiting') this.#waiting.remove(request);
    else if (request.state === 'loaded') this.#loaded.remove(request);
    else if (request.state === 'loading') this.#loading -= 1;
  }
}
