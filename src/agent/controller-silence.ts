import { messageOf } from '../base/errors.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentJournal } from './agent-journal.ts';
import type { AgentStore } from './agent-store.ts';
import { decidePendingChange } from './change-handlers.ts';
import type { Gang } from './gang.ts';
import type { StartLease } from './start-lease.ts';

/** An agent without work and without a controller ends after this long. */
const IDLE_MS = 3_000;

export interface ControllerSilenceContext {
  gang: Gang;
  journal: AgentJournal;
  store: Pick<AgentStore, 'discovery'>;
  lease: StartLease;
  events: EventLog;
  hasController(): boolean;
  changed(): void;
  /** Ends the agent. */
  leave(): void;
}

/**
 * What becomes of a host's part when its controller has been silent for too long: that depends on whether the start was committed.
 *
 *   idle ─▶ leave
 *   before `published` ─▶ undo, leave
 *   published ─▶ the commit record is there: settle │ it is not: undo, leave │ it cannot be read: in doubt, keep everything
 *   committed ─▶ stays; a pending change is settled or taken back in the same way │ nothing is left to run: leave
 */
export class ControllerSilence {
  readonly #context: ControllerSilenceContext;
  #inDoubt = false;

  constructor(context: ControllerSilenceContext) {
    this.#context = context;
  }

  /** The commit record could not be read: what is held is neither kept for good nor undone. */
  get inDoubt(): boolean {
    return this.#inDoubt;
  }

  get patienceMs(): number {
    return this.#context.gang.idle ? IDLE_MS : this.#context.journal.state.startLeaseMs;
  }

  /** A controller is there again: it decides. */
  over(): void {
    this.#inDoubt = false;
  }

  async decide(): Promise<void> {
    const { gang, journal, store, leave } = this.#context;
    if (gang.idle) {
      if (!this.#context.hasController()) leave();
      return;
    }
    if (gang.phase === 'committed') {
      await this.#decideChange();
      return this.#leaveEmpty();
    }
    if (gang.phase === 'stopping') return;
    // A controller commits only after every agent has answered `publish`, which leaves `published` behind.
    if (gang.phase !== 'published') return this.#undo();
    try {
      const { generation, planHash } = journal.state;
      const record = await store.discovery.readCommit(generation);
      this.#inDoubt = false;
      if (record?.planHash === planHash) {
        gang.settle();
        return;
      }
    } catch (error) {
      this.#doubt(`cannot read the commit record, keeping everything: ${messageOf(error)}`);
      return;
    }
    await this.#undo();
  }

  /** A change whose controller is gone is settled or taken back; a store that cannot be read leaves it as it is. */
  async #decideChange(): Promise<void> {
    const { gang, journal, store } = this.#context;
    if (!gang.change.pending) return;
    try {
      await decidePendingChange(gang.change, journal.state.generation, store.discovery);
    } catch (error) {
      this.#doubt(`cannot read the commit record of a change: ${messageOf(error)}`);
      return;
    }
    this.#inDoubt = false;
    this.#context.changed();
  }

  /** The host joined for a change that came to nothing, or its last process went: nobody will miss its agent. */
  async #leaveEmpty(): Promise<void> {
    const { gang, journal, events, hasController, leave } = this.#context;
    const { processes, change } = journal.state;
    if (processes.length > 0 || change || hasController()) return;
    events.write('agent', 'no controller, and nothing to run here: leaving');
    await gang.stop(true);
    leave();
  }

  #doubt(why: string): void {
    if (!this.#inDoubt) this.#context.events.write('in-doubt', why);
    this.#inDoubt = true;
    this.#context.changed();
  }

  async #undo(): Promise<void> {
    const { gang, journal, lease, leave } = this.#context;
    const silentS = (lease.silentForMs() / 1000).toFixed(1);
    await gang.undo(`no controller for ${silentS} s before the commit: undoing generation ${journal.state.generation}`);
    leave();
  }
}
