import { pause } from '../base/abort.ts';
import { messageOf } from '../base/errors.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { transferMs } from '../scheduler/timing.ts';
import type { EngineLog } from './engine-log.ts';
import type { Generation } from './generation.ts';
import { KvPull } from './kv-pull.ts';
import type { RemotePrefill } from './kv-transfer-params.ts';
import type { MockerMetrics } from './metrics.ts';
import type { MockerOptions } from './options.ts';

export interface KvReaderOptions {
  options: MockerOptions;
  scheduler: Scheduler<Generation>;
  metrics: MockerMetrics;
  log: EngineLog;
  /** The generation cannot go on. */
  fail(generation: Generation): void;
  /** Something may run now. */
  wake(): void;
  signal: AbortSignal;
}

/** As vLLM: a reader that has not read yet says so this often while the lease lasts. */
const HEARTBEATS_PER_LEASE = 6;

/** The decode side of a handover: fetches the KV cache of prompts from prefill workers. */
export class KvReader {
  readonly #context: KvReaderOptions;
  readonly #refuses: boolean;
  readonly #lies: boolean;
  /** Generations whose turn to load has not come. */
  readonly #waiting = new Set<Generation>();
  #heartbeats: NodeJS.Timeout | undefined;

  constructor(context: KvReaderOptions) {
    this.#context = context;
    this.#refuses = context.options.faults.some((fault) => fault.kind === 'refuse-transfer');
    this.#lies = context.options.faults.some((fault) => fault.kind === 'lie-about-transfer');
    context.signal.addEventListener('abort', () => clearInterval(this.#heartbeats), { once: true });
  }

  /** Keeps the blocks of a waiting generation alive at their holder until its turn comes. */
  queued(generation: Generation): void {
    this.#waiting.add(generation);
    this.#heartbeats ??= setInterval(() => this.#beat(), this.#context.options.kvLeaseMs / HEARTBEATS_PER_LEASE);
  }

  /** Nobody wants the blocks any more. */
  unwanted(generation: Generation): void {
    this.#waiting.delete(generation);
    const { direction } = generation.options;
    if (direction.kind === 'consume') this.release(direction.remote);
  }

  /** Lets the holder free blocks that were never read. */
  release(remote: RemotePrefill): void {
    void this.#tell(remote, (pull) => pull.done());
  }

  /** Fetches for a `loading` generation and settles it with the scheduler. */
  load(generation: Generation): void {
    const { direction } = generation.options;
    if (direction.kind !== 'consume') throw new Error('only leg 2 loads');
    this.#waiting.delete(generation);
    void this.#transfer(generation, direction.remote);
  }

  #beat(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#heartbeats);
      this.#heartbeats = undefined;
    }
    for (const { options } of this.#waiting) {
      if (options.direction.kind === 'consume') void this.#tell(options.direction.remote, (pull) => pull.heartbeat());
    }
  }

  async #tell(remote: RemotePrefill, say: (pull: KvPull) => Promise<void>): Promise<void> {
    using pull = new KvPull(remote, this.#context.signal);
    await say(pull).catch(() => {
      if (!this.#context.signal.aborted) this.#context.metrics.failedNotifications += 1;
    });
  }

  async #transfer(generation: Generation, remote: RemotePrefill): Promise<void> {
    const { scheduler, metrics, wake, signal } = this.#context;
    const request = generation.request!;
    const tokens = request.externalTokens;
    metrics.externalQueries += tokens;
    if (this.#lies) return this.#computeLocally(generation);
    const startedAt = performance.now();
    using pull = new KvPull(remote, signal);
    try {
      if (this.#refuses) throw new Error('transfer refused');
      const content = await pull.claim();
      if (content.num_tokens === 0) return this.#computeLocally(generation);
      await pause(this.#transferMs(tokens), AbortSignal.any([signal, pull.ended]));
      if (pull.failure) throw pull.failure;
      generation.adopt(content);
    } catch (error) {
      this.#failed(generation, remote, error);
      return;
    }
    // Whether or not the client still waits, the holder may free the blocks now.
    await pull.done().catch(() => {
      metrics.failedNotifications += 1;
    });
    if (request.state !== 'loading') return;
    generation.externalTokens = tokens;
    metrics.externalHits += tokens;
    metrics.transferTime.observe((performance.now() - startedAt) / 1_000);
    metrics.transferBytes.observe(tokens * this.#context.options.kvBytesPerToken);
    scheduler.loaded(request);
    wake();
  }

  #transferMs(tokens: number): number {
    const { kvBytesPerToken, kvTransferBandwidthGBps, speedupRatio } = this.#context.options;
    return transferMs(tokens, kvBytesPerToken, kvTransferBandwidthGBps) / speedupRatio;
  }

  #failed(generation: Generation, remote: RemotePrefill, error: unknown): void {
    const { options, metrics, log, fail, signal } = this.#context;
    if (signal.aborted) return;
    metrics.failedTransfers += 1;
    metrics.failedNotifications += 1;
    log.error(
      `NIXL transfer failure: handshake_or_read_failed | request ${generation.options.requestId} | remote ${remote.host}:${remote.port} engine ${remote.engineId} | ${messageOf(error)}`,
    );
    if (options.kvLoadFailurePolicy === 'recompute') this.#computeLocally(generation);
    else fail(generation);
  }

  #computeLocally(generation: Generation): void {
    this.#context.scheduler.loadFailed(generation.request!);
    this.#context.wake();
  }
}
