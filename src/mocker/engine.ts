import { aborted } from '../base/abort.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { SchedulerStats, StepResult } from '../scheduler/step-result.ts';
import type { Generation, GenerationListener } from './generation.ts';
import type { FinishReason, MockerMetrics } from './metrics.ts';
import { SCHEDULING_SLACK_MS, StepClock } from './step-clock.ts';

/** What a worker does about KV cache on other workers. */
export interface KvConnector {
  /** A generation for leg 2 waits for its turn: the holder must know that it is still wanted. */
  queued(generation: Generation): void;
  /** It has blocks now. Fetch, then tell the scheduler `loaded` or `loadFailed`. */
  load(generation: Generation): void;
  /** It ended before its turn came: the holder may free the blocks. */
  unwanted(generation: Generation): void;
  /** A generation for leg 1 has ended well: the scheduler holds its blocks now. */
  hold(generation: Generation): void;
}

export interface EngineOptions {
  scheduler: Scheduler<Generation>;
  metrics: MockerMetrics;
  /** Hands KV cache over to and from other workers; null for a worker that does not. */
  connector: KvConnector | null;
  /** Learns whose tokens are behind cached blocks; null where nobody wants to know. */
  tracker: { track(generation: Generation): void } | null;
  /** Fail a generation after so many tokens; null for never. */
  errorAfterTokens: number | null;
  /** Stops the clock for good. */
  signal: AbortSignal;
}

/** Longest time spent in steps before other events get their turn, in milliseconds. */
const BURST_MS = 4;

/**
 * Runs the scheduler in real time: a step begins, a timer waits until the step's virtual end, its tokens go out, the next
 * one begins. The clock is virtual, so late timers do not add up; steps that are overdue run at once, and what they
 * produce for one connection leaves in one write.
 */
export class Engine {
  readonly scheduler: Scheduler<Generation>;
  readonly #options: EngineOptions;
  readonly #metrics: MockerMetrics;
  readonly #clock = new StepClock(performance.now());
  readonly #touched = new Set<GenerationListener>();
  readonly #live = new Set<Generation>();
  #inStep = false;
  #inRun = false;
  #woken = false;
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #draining = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#metrics = options.metrics;
    this.scheduler = options.scheduler;
    void aborted(options.signal).then(() => this.#stopTimer());
  }

  get stats(): SchedulerStats {
    return this.scheduler.stats();
  }

  /** Generations that are not over. */
  get live(): ReadonlySet<Generation> {
    return this.#live;
  }

  /** Starts a generation. While draining it ends at once with `abort`, as vLLM answers then. */
  submit(generation: Generation): void {
    generation.arrivedAtMs = performance.now();
    if (this.#draining) {
      queueMicrotask(() => this.#end(generation, 'abort'));
      return;
    }
    const { direction, prompt, maxTokens } = generation.options;
    this.#options.tracker?.track(generation);
    generation.request = this.scheduler.add({
      promptTokens: prompt.length,
      outputTokens: maxTokens,
      keys: generation.keys,
      loadsRemotely: direction.kind === 'consume',
      holdsBlocks: direction.kind === 'produce',
      owner: generation,
    });
    this.#live.add(generation);
    if (direction.kind === 'consume') this.#options.connector?.queued(generation);
    this.wake();
  }

  /** Nobody waits for it any more: frees its blocks at once and tells nobody. */
  abandon(generation: Generation): void {
    if (!this.#live.delete(generation)) return;
    this.#drop(generation);
    this.#metrics.countFinish('abort');
    this.wake();
  }

  /** Ends it with an error. */
  fail(generation: Generation): void {
    if (!this.#live.delete(generation)) return;
    this.#drop(generation);
    this.#metrics.countFinish('error');
    generation.options.listener.onFailure(generation);
    generation.options.listener.flush();
    this.wake();
  }

  /** From now on new generations end with `abort`. */
  drain(): void {
    this.#draining = true;
  }

  /** Ends everything with `abort`. */
  abortAll(): void {
    for (const generation of [...this.#live]) {
      this.#live.delete(generation);
      this.#drop(generation);
      this.#end(generation, 'abort');
    }
  }

  /** Something changed that may let a step begin. */
  wake(): void {
    if (this.#inRun) this.#woken = true;
    if (this.#inRun || this.#inStep || this.#timer || this.#options.signal.aborted) return;
    this.#clock.start(performance.now());
    this.#timer = setImmediate(() => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#inRun = true;
    this.#run();
    this.#inRun = false;
    for (const listener of this.#touched) listener.flush();
    this.#touched.clear();
  }

  /** Runs every step that is due, then sets the timer for the next. */
  #run(): void {
    const started = performance.now();
    let now = started;
    while (!this.#options.signal.aborted) {
      if (!this.#inStep && !this.#begin()) {
        if (!this.#woken) return;
        this.#woken = false;
        continue;
      }
      const waitMs = this.#clock.dueMs - now;
      if (waitMs > SCHEDULING_SLACK_MS) {
        this.#timer = setTimeout(() => this.#onTimer(), waitMs);
        return;
      }
      this.#finishStep(now);
      now = performance.now();
      if (now - started > BURST_MS) {
        this.#timer = setImmediate(() => this.#onTimer());
        return;
      }
    }
  }

  /** Begins a step; false when there is nothing to compute. */
  #begin(): boolean {
    this.#woken = false;
    if (!this.scheduler.hasWork) return false;
    const step = this.scheduler.begin();
    for (const request of step.loading) this.#options.connector?.load(request.owner);
    if (step.durationMs === 0) return false;
    const now = performance.now();
    for (const request of step.admitted) {
      this.#metrics.queueTime.observe((now - request.owner.arrivedAtMs) / 1_000);
    }
    this.#clock.advance(step.durationMs, now);
    this.#inStep = true;
    return true;
  }

  #finishStep(now: number): void {
    this.#inStep = false;
    const step = this.scheduler.end();
    this.#deliver(step, now);
  }

  #deliver(step: StepResult<Generation>, now: number): void {
    for (const request of step.produced) {
      const generation = request.owner;
      if (!this.#live.has(generation)) continue;
      this.#measure(generation, now);
      const finish = generation.advance(request.produced === request.outputTokens);
      this.#touched.add(generation.options.listener);
      if (finish) this.#finish(generation, finish, now);
      else if (generation.tokens.length === this.#options.errorAfterTokens) this.fail(generation);
    }
  }

  /** Ended well, by length or by a stop string. Its blocks were freed or held by the scheduler, or are now. */
  #finish(generation: Generation, finish: FinishReason, now: number): void {
    this.#live.delete(generation);
    const request = generation.request!;
    this.scheduler.stop(request);
    if (request.state === 'held') this.#options.connector?.hold(generation);
    this.#metrics.countFinish(finish);
    this.#metrics.requestLatency.observe((now - generation.arrivedAtMs) / 1_000);
  }

  #measure(generation: Generation, now: number): void {
    const metrics = this.#metrics;
    metrics.generationTokens += 1;
    if (generation.tokens.length === 0) {
      const request = generation.request!;
      generation.cachedTokens = request.cachedTokens;
      metrics.timeToFirstToken.observe((now - generation.arrivedAtMs) / 1_000);
      metrics.promptTokens += request.promptTokens;
      metrics.promptTokensCached += request.cachedTokens + generation.externalTokens;
      // A worker with a connector asks it about every prompt; those that load were counted then.
      if (this.#options.connector && generation.options.direction.kind !== 'consume') {
        metrics.externalQueries += request.promptTokens - request.cachedTokens;
      }
      metrics.countPrompt('local_cache_hit', request.cachedTokens);
      metrics.countPrompt('external_kv_transfer', generation.externalTokens);
      const computed = request.promptTokens - request.cachedTokens - generation.externalTokens;
      metrics.countPrompt('local_compute', computed);
    } else metrics.interTokenLatency.observe((now - generation.lastTokenAtMs) / 1_000);
    generation.lastTokenAtMs = now;
  }

  #end(generation: Generation, finish: FinishReason): void {
    this.#metrics.countFinish(finish);
    generation.options.listener.onEnd(generation, finish);
    generation.options.listener.flush();
  }

  /** Takes it out of the scheduler, whatever it was doing. */
  #drop(generation: Generation): void {
    const request = generation.request!;
    const neverLoaded = request.state === 'waiting' && request.loadsRemotely;
    this.scheduler.abort(request);
    if (neverLoaded) this.#options.connector?.unwanted(generation);
  }

  #stopTimer(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
  }
}
