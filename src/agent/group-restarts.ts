import { DynamoError } from '../base/errors.ts';
import type { ProcessState } from '../deployment/snapshot.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { GangProcess } from './process-context.ts';

/** Members in these states have nothing left of their last incarnation. */
const DOWN: ReadonlySet<ProcessState> = new Set(['backoff', 'exited', 'failed', 'pending']);

/**
 * Workers that are several processes restart as one: when a member ends, the others are ended, and none starts again before all
 * are down. Members on other hosts are known to the controller alone, which says when all of them are.
 *
 *   whole ─▶ a member ends: the others on this host are killed ─▶ all down (controller: also elsewhere) ─▶ whole
 */
export class GroupRestarts {
  readonly #members: () => readonly GangProcess[];
  readonly #events: EventLog;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Groups of which all members were down, so that they may start again. */
  readonly #allowed = new Set<string>();

  constructor(members: () => readonly GangProcess[], events: EventLog) {
    this.#members = members;
    this.#events = events;
  }

  /** A member has ended unasked: what is left of its group goes too. */
  ended(process: GangProcess): void {
    const { group } = process.spec;
    if (!group) return;
    this.#allowed.delete(group.name);
    this.#endOthers(group.name, `${process.spec.name} of its group ended`, process);
  }

  /** A member on another host has ended. */
  lost(group: string, reason: string): null {
    this.#allowed.delete(group);
    this.#endOthers(group, reason);
    return null;
  }

  /** All members on all hosts are down. */
  go(group: string): null {
    this.#allowed.add(group);
    this.look();
    return null;
  }

  /** A group that lost a member while no agent lived is ended as a whole now. */
  afterAdoption(): void {
    for (const process of this.#members()) if (process.state === 'backoff') this.ended(process);
  }

  /** Resolves when the process may start again. Throws when one of its group never will. */
  async beforeRestart(process: GangProcess, signal: AbortSignal): Promise<void> {
    const { group } = process.spec;
    if (!group) return;
    let said = '';
    for (;;) {
      signal.throwIfAborted();
      const own = this.#ofGroup(group.name);
      const failed = own.find((other) => other.state === 'failed');
      if (failed) throw new DynamoError('PROCESS_FAILED', `${failed.spec.name} of its group has failed`);
      const up = own.filter((other) => !DOWN.has(other.state)).map((other) => other.spec.name);
      // Once all were down they all go, though the first of them is up again by the time the last looks.
      if (up.length === 0 && own.length === group.size) this.#allowed.add(group.name);
      if (this.#allowed.has(group.name)) return;
      const what =
        up.length > 0
          ? `the end of ${up.join(', ')}, which restart with it`
          : 'the members of its group on other hosts to be down';
      // Saying it wakes the others that wait: only what is new is said.
      if (what !== said) process.waitFor(what);
      said = what;
      await this.#change(group.name, signal);
    }
  }

  /** Something has changed its state: those that wait look again. */
  look(): void {
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
  }

  #endOthers(group: string, reason: string, except?: GangProcess): void {
    for (const other of this.#ofGroup(group)) {
      if (other === except || DOWN.has(other.state)) continue;
      this.#events.write('group', `${reason}: restarting it too`, other.spec.name);
      other.fail(reason);
    }
  }

  #ofGroup(group: string): GangProcess[] {
    return this.#members().filter((other) => other.spec.group?.name === group);
  }

  #change(group: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(group) ?? new Set();
      this.#waiting.set(group, waiting);
      const wake = () => {
        waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
