import { pause } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import { messageOf } from '../base/errors.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentLinks } from './agent-links.ts';
import type { Changes } from './changes.ts';
import { emptiedHosts, letGoOfEmptied } from './emptied-hosts.ts';
import { GroupWatch } from './group-watch.ts';
import type { Hooks } from './hooks/hooks.ts';
import type { ProcessActions } from './process-actions.ts';
import type { RecordKeeper } from './record-keeper.ts';
import type { RollingChange } from './rolling-change.ts';
import { PeerWatch } from './stale-peers.ts';

const CHANGE_RETRY = { initialMs: 500, maxMs: 10_000, factor: 2 };

export interface AttendanceContext {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
  hooks: Hooks;
  changes: Changes;
  rolling: RollingChange;
  actions: ProcessActions;
  /** Aborts with a stop, and with the controller. */
  signal: AbortSignal;
}

/**
 * What a controller does unasked for a deployment that is committed: whatever spans hosts, and changes that were left unfinished.
 * A start is all or nothing by other means.
 */
export class Attendance {
  readonly #context: AttendanceContext;
  readonly #groups: GroupWatch;
  readonly #peers: PeerWatch;
  #finishing = false;
  #lettingGo = false;

  constructor(context: AttendanceContext) {
    this.#context = context;
    const { record, links, events, changes, actions } = context;
    this.#groups = new GroupWatch({
      plan: () => record.current.plan,
      links,
      onEvent: (message, process) => events.write('group', message, process),
    });
    this.#peers = new PeerWatch({
      plan: () => record.current.plan,
      statuses: () => links.statuses(),
      busy: () => this.#isBusy(),
      restart: (name) => changes.alone(`restart of ${name}`, () => actions.act('restart', name)),
      events,
    });
  }

  /** An agent has told of a change. */
  look(): void {
    const { links, hooks } = this.#context;
    this.#groups.look();
    this.#peers.look();
    hooks.look([...links.statuses().values()].flatMap(({ processes }) => processes));
    void this.#letGo();
  }

  /** A change, or the way to another recipe, was left unfinished. Tried until the store and the agents answer. */
  async finish(): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    const { changes, rolling, events, signal } = this.#context;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await changes.finishPending();
        await rolling.resume();
        break;
      } catch (error) {
        if (signal.aborted) break;
        events.write('change', `cannot be finished yet: ${messageOf(error)}`);
        await pause(backoffDelay(CHANGE_RETRY, attempt, Math.random()), signal);
      }
    }
    this.#finishing = false;
  }

  #isBusy(): boolean {
    const { changes, record } = this.#context;
    return changes.busy !== undefined || record.current.phase !== 'committed';
  }

  /** Hosts that were away when they had nothing to run any more. */
  async #letGo(): Promise<void> {
    const { record, links, changes, events } = this.#context;
    const answers = (host: string) => links.all.some((link) => link.host === host && link.status);
    if (this.#lettingGo || this.#isBusy() || !emptiedHosts(record.current).some(answers)) return;
    this.#lettingGo = true;
    try {
      await changes.alone('letting go of a host', () => letGoOfEmptied({ record, links, events }));
    } catch (error) {
      events.write('host', `a host that has nothing to run any more is still in the plan: ${messageOf(error)}`);
    }
    this.#lettingGo = false;
  }
}
