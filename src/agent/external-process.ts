import { pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { ProcessSnapshot, ProcessState } from '../deployment/snapshot.ts';
import { processLog } from '../deployment/state-dir.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { JournalProcess } from './agent-journal.ts';
import type { GangProcess, ProcessContext } from './process-context.ts';
import { processSnapshot } from './process-snapshot.ts';
import { ProcessStatus } from './process-status.ts';
import { awaitReadiness } from './readiness.ts';
import { watchLiveness } from './watch-liveness.ts';

/** Pause before a server that did not become ready is looked at again. */
const RETRY_MS = 1_000;

/**
 * A server that somebody else runs: looked at and published like a worker, never started and never signalled.
 *
 *   pending ─▶ prepared ─▶ starting ─▶ ready ─▶ draining ─▶ exited
 *                             ▲          │ it does not answer
 *                             └──────────┘ withdrawn; published again, as the next generation, when it answers
 *
 * Before the gang is committed a server that does not become ready ends the start.
 */
export class ExternalProcess implements GangProcess {
  readonly spec: ProcessSpec;
  readonly #context: ProcessContext;
  readonly #status: ProcessStatus;
  #failure: DynamoError | undefined;
  /** Ends what belongs to the current generation: readiness, liveness. */
  #watch = new AbortController();
  #watching = false;

  constructor(spec: ProcessSpec, context: ProcessContext) {
    this.spec = spec;
    this.#context = context;
    this.#status = new ProcessStatus(spec.name, context.events, context.changed);
    context.signal.addEventListener('abort', () => this.#watch.abort(), { once: true });
  }

  get state(): ProcessState {
    return this.#status.state;
  }

  get generation(): number {
    return this.#context.journal.process(this.spec.name).incarnation;
  }

  /** Whether it is being looked at: it runs on its own account anyway. */
  get running(): boolean {
    return this.#watching;
  }

  async nextIncarnation(): Promise<Partial<JournalProcess> | undefined> {
    return this.#watching ? undefined : { incarnation: this.generation + 1 };
  }

  async spawn(): Promise<void> {
    if (this.#watching) return;
    this.#failure = undefined;
    this.#watching = true;
    this.#status.set('prepared', 'the start of its stage');
  }

  launch(): void {
    if (this.#status.state === 'prepared') this.#begin('its first answer');
  }

  async adopt(): Promise<void> {
    const { incarnation, wanted } = this.#context.journal.process(this.spec.name);
    if (incarnation === 0 || !wanted) return;
    this.#watching = true;
    this.#begin('its answer, after the agent came back');
  }

  settled(): void {
    const { wanted } = this.#context.journal.process(this.spec.name);
    if (wanted && this.#status.state === 'failed') this.#again('it did not answer before the commit');
  }

  async whenReady(): Promise<void> {
    while (this.#status.state !== 'ready') {
      if (this.#failure) throw this.#failure;
      if (this.#status.state === 'exited')
        throw new DynamoError('EXITED_EARLY', `${this.spec.name} was let go before it was ready`);
      await this.#status.change();
    }
  }

  waitFor(what: string): void {
    this.#status.waitFor(what);
  }

  markDraining(what: string): void {
    if (this.#status.state === 'ready') this.#status.set('draining', what);
    else this.waitFor(what);
  }

  /** Lets go of it. The server itself is not ours to end. */
  async stop(): Promise<void> {
    this.#watch.abort();
    this.#watching = false;
    if (this.#status.state !== 'failed') this.#status.set('exited', null);
  }

  fail(reason: string): void {
    if (this.#watching) this.#again(reason);
  }

  async startAgain(): Promise<void> {
    if (this.#watching) return;
    const next = { ...(await this.nextIncarnation()), wanted: true };
    this.#context.journal.writeProcesses(new Map([[this.spec.name, next]]));
    await this.spawn();
    this.launch();
  }

  snapshot(): ProcessSnapshot {
    return processSnapshot(this.spec, this.#context.journal.process(this.spec.name), this.#status, {
      ...{ pid: null, lastExit: null, startPhases: [] },
      logFile: processLog(this.#context.paths, this.spec.name),
    });
  }

  #begin(what: string): void {
    this.#watch = new AbortController();
    this.#status.set('starting', what);
    void this.#becomeReady(this.#watch.signal);
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await awaitReadiness(this.spec, {
          lastLines: () => [],
          onWaiting: (text) => this.waitFor(text),
          signal,
        });
        await this.#context.onReady(this, signal);
        signal.throwIfAborted();
        break;
      } catch (error) {
        if (signal.aborted) return;
        this.#context.events.write('not-ready', messageOf(error), this.spec.name);
        if (!this.#context.mayRestart()) {
          this.#failure =
            error instanceof DynamoError ? error : new DynamoError('NOT_READY', messageOf(error), { cause: error });
          this.#watching = false;
          this.#status.set('failed', null);
          return;
        }
        await pause(RETRY_MS, signal);
        if (signal.aborted) return;
      }
    }
    this.#status.set('ready', null);
    void this.#watchLiveness(signal);
  }

  async #watchLiveness(signal: AbortSignal): Promise<void> {
    const what = await watchLiveness(this.spec, () => this.state === 'ready', signal);
    if (what === undefined) return;
    this.#context.events.write('liveness-lost', `${what}; withdrawing it until it answers`, this.spec.name);
    this.#again(what);
  }

  /** Withdrawn, and looked at anew as the next generation: what was withdrawn stays withdrawn. */
  #again(why: string): void {
    this.#watch.abort();
    this.#context.onGone(this);
    const { restarts } = this.#context.journal.process(this.spec.name);
    try {
      const change = { incarnation: this.generation + 1, restarts: restarts + 1 };
      this.#context.journal.writeProcesses(new Map([[this.spec.name, change]]));
    } catch (error) {
      this.#context.events.write('journal', messageOf(error), this.spec.name);
    }
    this.#failure = undefined;
    this.#watching = true;
    this.#begin(`its answer: ${why}`);
  }
}
