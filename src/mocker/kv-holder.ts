import type { Scheduler } from '../scheduler/scheduler.ts';
import { mix32 } from '../tokens/prefix-hash.ts';
import type { EngineLog } from './engine-log.ts';
import type { Generation } from './generation.ts';
import { KvLeases } from './kv-leases.ts';
import type { MockerMetrics } from './metrics.ts';
import type { MockerOptions } from './options.ts';
import type { ClaimReply, SideChannelReply, SideChannelRequest } from './side-channel-protocol.ts';

export interface KvHolderOptions {
  options: MockerOptions;
  /** Random at each start. */
  engineId: string;
  scheduler: Scheduler<Generation>;
  metrics: MockerMetrics;
  log: EngineLog;
  /** Blocks were freed. */
  onFree(): void;
  signal: AbortSignal;
}

/** The prefill side of a handover: holds blocks of finished prompts under leases and answers readers. */
export class KvHolder {
  readonly #context: KvHolderOptions;
  readonly #leases: KvLeases;
  readonly #refuses: boolean;
  readonly #lies: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: KvHolderOptions) {
    this.#context = context;
    const { options, metrics, log } = context;
    this.#refuses = options.faults.some((fault) => fault.kind === 'refuse-transfer');
    this.#lies = options.faults.some((fault) => fault.kind === 'lie-about-transfer');
    this.#leases = new KvLeases({
      durationMs: options.kvLeaseMs,
      now: () => performance.now(),
      onExpire: (requestId) => {
        metrics.expiredRequests += 1;
        log.warn(
          `Releasing expired KV blocks for request ${requestId} which were retrieved by 0 decode worker(s) within ${options.kvLeaseMs / 1_000} seconds.`,
        );
      },
    });
    context.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  /** Requests whose blocks wait for a reader. */
  get heldCount(): number {
    return this.#leases.heldCount;
  }

  /** Takes the blocks of a finished prefill into a lease and writes the parameters for leg 2. */
  hold(generation: Generation): void {
    const { options, engineId, scheduler } = this.#context;
    const request = generation.request!;
    const { requestId, prompt } = generation.options;
    const blocks = [...request.blocks.subarray(0, Math.ceil(prompt.length / options.blockSize))];
    const writes = blocks.map((block) => scheduler.pool.writesOf(block));
    this.#leases.hold(requestId, {
      content: generation.promptContent,
      release: () => {
        scheduler.abort(request);
        this.#context.onFree();
      },
      readAfterRelease: () => this.#read(generation.promptContent, blocks, writes),
    });
    generation.kvTransferParams = {
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: [blocks],
      remote_engine_id: engineId,
      remote_request_id: requestId,
      remote_host: options.sideChannelHost,
      remote_port: options.sideChannelPort,
      tp_size: 1,
      dcp_size: 1,
      pp_size: 1,
      remote_num_tokens: prompt.length,
      remote_blocks_expiry_time: null,
      transfer_mode: 'pull',
      remote_prefill_cached_tokens: generation.cachedTokens,
    };
    this.#timer ??= this.#schedule(options.kvLeaseMs);
  }

  /** Answers one line of a reader. */
  answer(request: SideChannelRequest): SideChannelReply {
    const { engineId } = this.#context;
    if (this.#refuses) return { ok: false, error: 'transfer refused' };
    if (request.engine_id !== engineId) {
      return {
        ok: false,
        error: `Remote NIXL agent engine ID mismatch. Expected ${request.engine_id}, received ${engineId}.`,
      };
    }
    switch (request.op) {
      case 'claim': {
        const reply = this.#leases.claim(request.request_id);
        return this.#lies && reply.ok ? { ...reply, num_tokens: 0 } : reply;
      }
      case 'done':
        if (this.#leases.hasExpired(request.request_id)) this.#context.metrics.lateNotifications += 1;
        return this.#leases.release(request.request_id) ? { ok: true } : { ok: false, error: 'nothing is held' };
      case 'heartbeat':
        return this.#leases.heartbeat(request.request_id) ? { ok: true } : { ok: false, error: 'nothing is held' };
    }
  }

  /** What a reader finds in blocks that are no longer kept for it: their content, or whatever was written over it. */
  #read(content: ClaimReply, blocks: readonly number[], writes: readonly number[]): ClaimReply {
    let change = 0;
    for (const [index, block] of blocks.entries()) {
      const now = this.#context.scheduler.pool.writesOf(block);
      if (now !== writes[index]) change = mix32(change ^ Math.imul(now, 0x9e3779b1) ^ block);
    }
    if (change === 0) return content;
    return { ...content, prefix: [content.prefix[0] ^ change, content.prefix[1] ^ mix32(change)] };
  }

  #schedule(ms: number): NodeJS.Timeout | undefined {
    if (this.#context.signal.aborted) return undefined;
    return setTimeout(
      () => {
        const next = this.#leases.expire();
        this.#timer = next === undefined ? undefined : this.#schedule(next);
      },
      Math.max(1, ms),
    );
  }
}
