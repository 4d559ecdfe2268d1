import { pause } from '../base/abort.ts';

/** How often the lease is looked at. */
const LOOK_MS = 200;

/**
 * The agent's patience with a silent controller. A connection alone does not count: a suspended controller keeps its
 * connections open. Measured on the agent's monotonic clock, without the time in which the agent itself was held up: it heard nobody.
 */
export class StartLease {
  #renewedAt: number;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#renewedAt = now();
  }

  renew(): void {
    this.#renewedAt = this.#now();
  }

  silentForMs(): number {
    return this.#now() - this.#renewedAt;
  }

  /** Calls `expired` whenever the silence is longer than `leaseMs()`, until the signal aborts. `expired` renews or ends the agent. */
  async watch(leaseMs: () => number, expired: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = this.#now();
      await pause(LOOK_MS, signal);
      this.#forgive(this.#now() - before - LOOK_MS);
      if (!signal.aborted && this.silentForMs() > leaseMs()) await expired();
    }
  }
  /** Suspended, or with its machine: what the controller has said meanwhile is still to be read. */
  #forgive(lateMs: number): void {
    if (lateMs > 0) this.#renewedAt = Math.min(this.#now(), this.#renewedAt + lateMs);
  }
}
