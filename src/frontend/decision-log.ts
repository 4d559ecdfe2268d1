import type { Selection } from '../routing/router.ts';

export interface Decision {
  /** ISO 8601. */
  at: string;
  requestId: string;
  model: string;
  role: string;
  selection: Selection;
}

/** The last routing decisions with everything they were based on. */
export class DecisionLog {
  readonly #ring: { atMs: number; decision: Omit<Decision, 'at'> }[] = [];
  readonly #size: number;
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(decision: Omit<Decision, 'at'>): void {
    this.#ring[this.#next] = { atMs: Date.now(), decision };
    this.#next = (this.#next + 1) % this.#size;
  }

  /** Newest first. */
  list(): Decision[] {
    const ordered = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return ordered.reverse().map(({ atMs, decision }) => ({ at: new Date(atMs).toISOString(), ...decision }));
  }
}
