import type { ClaimReply } from './side-channel-protocol.ts';

/** Blocks of a finished prefill, kept until somebody on another worker has read them. */
export interface HeldBlocks {
  /** The model's state after the prompt, which is what the blocks stand for. */
  content: ClaimReply;
  /** Frees the blocks. Called once. */
  release(): void;
  /** What is left in the blocks when they were freed and somebody reads them all the same. */
  readAfterRelease(): ClaimReply;
}

/**
 * held ──claim, heartbeat──▶ held       a heartbeat puts the end off
 * held ──done──▶ released               read: blocks freed
 * held ──lease over──▶ expired          never read: blocks freed, counted
 * released ──claim──▶ released          the same parameters used twice: answers with what the blocks hold by now
 */
interface Lease {
  state: 'held' | 'released' | 'expired';
  held: HeldBlocks;
  expiresAtMs: number;
}

export interface LeaseOptions {
  durationMs: number;
  /** Monotonic milliseconds. */
  now(): number;
  onExpire(requestId: string): void;
}

/** Leases that have ended stay known this long, by count. */
const REMEMBERED = 4_096;

/** All leases of one prefill worker. */
export class KvLeases {
  readonly #leases = new Map<string, Lease>();
  readonly #ended: string[] = [];
  readonly #options: LeaseOptions;
  #held = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get heldCount(): number {
    return this.#held;
  }

  hold(requestId: string, held: HeldBlocks): void {
    this.#leases.set(requestId, { state: 'held', held, expiresAtMs: this.#options.now() + this.#options.durationMs });
    this.#held += 1;
  }

  /** The content of the blocks, or why there is none. */
  claim(requestId: string): ClaimReply | { ok: false; error: string } {
    const lease = this.#leases.get(requestId);
    if (!lease) return { ok: false, error: `no blocks are held for request ${requestId}` };
    if (lease.state === 'expired') return { ok: false, error: `the lease of request ${requestId} has expired` };
    return lease.state === 'held' ? lease.held.content : lease.held.readAfterRelease();
  }

  /** Puts the end of a lease off: by two thirds of its duration from now, as vLLM does. */
  heartbeat(requestId: string): boolean {
    const lease = this.#leases.get(requestId);
    if (lease?.state !== 'held') return false;
    lease.expiresAtMs = Math.max(lease.expiresAtMs, this.#options.now() + (this.#options.durationMs * 2) / 3);
    return true;
  }

  hasExpired(requestId: string): boolean {
    return this.#leases.get(requestId)?.state === 'expired';
  }

  /** The reader is done: frees the blocks. Once more does nothing. */
  release(requestId: string): boolean {
    const lease = this.#leases.get(requestId);
    if (lease?.state !== 'held') return lease !== undefined;
    this.#end(requestId, lease, 'released');
    return true;
  }

  /** Ends every lease whose time is up. Returns milliseconds until the next one is due, `undefined` when none is held. */
  expire(): number | undefined {
    const now = this.#options.now();
    let next: number | undefined;
    for (const [requestId, lease] of this.#leases) {
      if (lease.state !== 'held') continue;
      if (lease.expiresAtMs <= now) {
        this.#end(requestId, lease, 'expired');
        this.#options.onExpire(requestId);
      } else next = Math.min(next ?? Number.POSITIVE_INFINITY, lease.expiresAtMs - now);
    }
    return next;
  }

  #end(requestId: string, lease: Lease, state: 'released' | 'expired'): void {
    lease.state = state;
    this.#held -= 1;
    lease.held.release();
    this.#ended.push(requestId);
    if (this.#ended.length > REMEMBERED) this.#leases.delete(this.#ended.shift()!);
  }
}
