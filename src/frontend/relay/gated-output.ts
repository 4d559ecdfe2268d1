import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import type { RelayOutput } from './stream-relay.ts';

/** Decides whether an answer may go to the client. Both checks reject with the `UpstreamFailure` to end with. */
export interface AnswerGate {
  /** Before the first content; undefined where nothing needs to be waited for. */
  beforeFirst(): Promise<void> | undefined;
  /** The end is held back until `beforeEnd` says that it may go; asked after `beforeFirst`. */
  readonly holdsEnd: boolean;
  beforeEnd(): Promise<void>;
}

export interface GateEvents {
  /** The worker should not be read while the first check runs. */
  press(full: boolean): void;
  /** The first check failed while the answer was still coming. */
  refused(failure: unknown): void;
  /** The client is no longer there. */
  isGone(): boolean;
}

/**
 * Keeps an answer from the client until its gate lets it through:
 *
 *   shut ──first content──▶ checking ──lets through──▶ open ──end sighted──▶ holding ──finish──▶ open
 *                              └──refuses──▶ refused           (only where the gate holds the end)
 *
 * Without anything to check it goes from shut to open at once and adds nothing.
 */
export class GatedOutput implements RelayOutput {
  readonly #output: RelayOutput;
  readonly #gate: AnswerGate;
  readonly #events: GateEvents;
  #state: 'shut' | 'checking' | 'open' | 'holding' | 'refused' = 'shut';
  #sawEnd = false;
  #held: Buffer[] = [];
  #checked: Promise<void> | undefined;

  constructor(output: RelayOutput, gate: AnswerGate, events: GateEvents) {
    this.#output = output;
    this.#gate = gate;
    this.#events = events;
  }

  open(): void {
    const check = this.#gate.beforeFirst();
    if (check === undefined) {
      this.#output.open();
      this.#state = this.#gate.holdsEnd && this.#sawEnd ? 'holding' : 'open';
      return;
    }
    this.#state = 'checking';
    this.#events.press(true);
    this.#checked = this.#afterFirst(check);
    // The failure is told through `refused` or by `finish`, whichever comes first.
    this.#checked.catch((failure: unknown) => this.#events.refused(failure));
  }

  write(framed: Buffer): void {
    if (this.#state === 'open') this.#output.write(framed);
    else if (this.#state !== 'refused') this.#held.push(framed);
  }

  ending(): void {
    this.#sawEnd = true;
    if (this.#state === 'open' && this.#gate.holdsEnd) this.#state = 'holding';
  }

  /** The worker's answer is complete: resolves when all of it may go and has been written. Undefined when that is so already. */
  finish(): Promise<void> | undefined {
    if (this.#state === 'open') return undefined;
    return this.#finish();
  }

  async #finish(): Promise<void> {
    await this.#checked;
    if (this.#gate.holdsEnd) await this.#gate.beforeEnd();
    this.#refuseGone();
    this.#state = 'open';
    this.#flush();
  }

  async #afterFirst(check: Promise<void>): Promise<void> {
    try {
      await check;
      this.#refuseGone();
    } catch (failure) {
      this.#state = 'refused';
      this.#held = [];
      throw failure;
    }
    this.#output.open();
    this.#state = this.#sawEnd ? 'holding' : 'open';
    this.#events.press(false);
    if (this.#state === 'open') this.#flush();
  }

  #refuseGone(): void {
    if (this.#events.isGone()) throw new UpstreamFailure('aborted', 'the request was given up');
  }

  #flush(): void {
    const held = this.#held;
    this.#held = [];
    for (const framed of held) this.#output.write(framed);
  }
}
