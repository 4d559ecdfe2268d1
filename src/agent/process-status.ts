import type { ProcessState } from '../deployment/snapshot.ts';
import type { EventLog } from '../supervise/event-log.ts';

/** The state of one process, since when, and what it waits for: every change is logged, told, and wakes whoever waits for one. */
export class ProcessStatus {
  readonly #name: string;
  readonly #events: EventLog;
  readonly #changed: () => void;
  #state: ProcessState = 'pending';
  #since = performance.now();
  #waitingFor: string | null = null;
  #waiters: (() => void)[] = [];

  constructor(name: string, events: EventLog, changed: () => void) {
    this.#name = name;
    this.#events = events;
    this.#changed = changed;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  get inStateMs(): number {
    return Math.round(performance.now() - this.#since);
  }

  set(state: ProcessState, waitingFor: string | null): void {
    this.#waitingFor = waitingFor;
    if (state !== this.#state) {
      const waiting = waitingFor ? `, waiting for ${waitingFor}` : '';
      this.#events.write('state', `${this.#state} → ${state}${waiting}`, this.#name);
      this.#state = state;
      this.#since = performance.now();
    }
    for (const wake of this.#waiters.splice(0)) wake();
    this.#changed();
  }

  waitFor(what: string): void {
    this.#waitingFor = what;
    this.#changed();
  }

  /** Resolves at the next call of `set`. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
