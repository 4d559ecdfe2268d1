/** One incarnation of a worker. */
export interface PairMember {
  name: string;
  generation: number;
}

/** A pair that gets no requests for a while. */
export interface QuarantinedPair {
  prefill: string;
  decode: string;
  reason: string;
  remainingMs: number;
}

/**
 * Pairs of prefill and decode workers between which a KV transfer failed in a way that may show as wrong text. A restart of
 * either side lifts it. Time comes in with every call.
 */
export class PairQuarantine {
  readonly #durationMs: number;
  readonly #pairs = new Map<string, { prefill: PairMember; decode: PairMember; reason: string; untilMs: number }>();

  constructor(durationMs: number) {
    this.#durationMs = durationMs;
  }

  /** Begins, or begins again. */
  add(prefill: PairMember, decode: PairMember, reason: string, nowMs: number): void {
    const { name, generation } = prefill;
    this.#pairs.set(keyOf(prefill, decode), {
      prefill: { name, generation },
      decode: { name: decode.name, generation: decode.generation },
      reason,
      untilMs: nowMs + this.#durationMs,
    });
  }

  has(prefill: PairMember, decode: PairMember, nowMs: number): boolean {
    if (this.#pairs.size === 0) return false;
    this.#expire(nowMs);
    return this.#pairs.has(keyOf(prefill, decode));
  }

  isEmpty(nowMs: number): boolean {
    this.#expire(nowMs);
    return this.#pairs.size === 0;
  }

  list(nowMs: number): QuarantinedPair[] {
    this.#expire(nowMs);
    return [...this.#pairs.values()].map(({ prefill, decode, reason, untilMs }) => ({
      prefill: prefill.name,
      decode: decode.name,
      reason,
      remainingMs: Math.ceil(untilMs - nowMs),
    }));
  }

  /** Forgets the pairs of an incarnation that is gone. */
  forget({ name, generation }: PairMember): void {
    for (const [key, { prefill, decode }] of this.#pairs) {
      for (const member of [prefill, decode]) {
        if (member.name === name && member.generation === generation) this.#pairs.delete(key);
      }
    }
  }

  #expire(nowMs: number): void {
    for (const [key, { untilMs }] of this.#pairs) if (untilMs <= nowMs) this.#pairs.delete(key);
  }
}

/** Names have no spaces. */
const keyOf = (prefill: PairMember, decode: PairMember): string =>
  `${prefill.name} ${prefill.generation} ${decode.name} ${decode.generation}`;
