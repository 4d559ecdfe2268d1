import type { PhaseSnapshot, StepSnapshot } from '../deployment/snapshot.ts';
import type { StartStep } from '../supervise/start-steps.ts';

/** Says that a part of what a host does in a step is over. */
export type MarkPart = (phase: string) => void;

/**
 * Where the time of one start goes. A step counts from the end of the one before it, so that the steps add up to the whole: this
 * is the critical path. `now`: monotonic milliseconds.
 */
export class StepClock {
  readonly #now: () => number;
  readonly #steps: StepSnapshot[] = [];
  #hosts: StepSnapshot['hosts'] = [];
  #lastMs: number;

  /** The first step counts from `sinceMs`. */
  constructor(now: () => number, sinceMs: number) {
    this.#now = now;
    this.#lastMs = sinceMs;
  }

  /** Every step so far, in order. Steps of a start that was taken up again, and of further stages, are further entries. */
  get steps(): StepSnapshot[] {
    return [...this.#steps];
  }

  /** The step that was under way is over. */
  end(step: StartStep): void {
    const now = this.#now();
    this.#steps.push({ step, ms: Math.round(now - this.#lastMs), hosts: this.#hosts });
    this.#hosts = [];
    this.#lastMs = now;
  }

  /** What one host does in the step under way; `mark` says that a part of it is over. */
  async onHost<T>(host: string, action: (mark: MarkPart) => Promise<T>): Promise<T> {
    const began = this.#now();
    const hosts = this.#hosts;
    const parts: PhaseSnapshot[] = [];
    let last = began;
    const result = await action((phase) => {
      const now = this.#now();
      parts.push({ phase, ms: Math.round(now - last) });
      last = now;
    });
    hosts.push({ host, ms: Math.round(this.#now() - began), parts });
    return result;
  }
}
