import type { PhaseSnapshot } from '../deployment/snapshot.ts';

/**
 * How long the phases of one start took. A start begins in the phase `start` (nothing is known of it yet); what the engine's
 * output names comes next, `prove` is the proof of its pairs. Time comes from the caller: monotonic milliseconds.
 */
export class PhaseClock {
  readonly #past: PhaseSnapshot[] = [];
  #current: { phase: string; sinceMs: number } | undefined;

  begin(nowMs: number): void {
    this.#past.length = 0;
    this.#current = { phase: 'start', sinceMs: nowMs };
  }

  /** A phase that comes back (weights after compile) is a further entry. */
  enter(phase: string, nowMs: number): void {
    if (!this.#current || this.#current.phase === phase) return;
    this.#close(nowMs);
    this.#current = { phase, sinceMs: nowMs };
  }

  /** Ready, or gone. */
  end(nowMs: number): void {
    this.#close(nowMs);
    this.#current = undefined;
  }

  /** All phases in order, the running one up to now. Empty for a start that nobody watched. */
  durations(nowMs: number): PhaseSnapshot[] {
    const current = this.#current;
    return current
      ? [...this.#past, { phase: current.phase, ms: Math.round(nowMs - current.sinceMs) }]
      : [...this.#past];
  }

  #close(nowMs: number): void {
    if (this.#current) this.#past.push({ phase: this.#current.phase, ms: Math.round(nowMs - this.#current.sinceMs) });
  }
}
