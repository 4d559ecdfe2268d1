import { messageOf } from '../base/errors.ts';
import { newestPairs } from '../deployment/newest-pairs.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentStatus } from '../supervise/protocol.ts';

/**
 * Which worker to restart because a peer on another host came back and it cannot hand over with that peer's new life; undefined when
 * there is none. An agent does this for peers of its own host; over hosts only the controller sees both. One at a time: nobody is
 * named while another worker of its kind is down. `told` are those named before, each once for a life of the peer. Pure.
 */
export function stalePeer(
  plan: LaunchPlan,
  statuses: ReadonlyMap<string, AgentStatus>,
  told: ReadonlySet<string>,
): { name: string; because: string; key: string } | undefined {
  const known = new Map<string, ProcessSnapshot>(
    [...statuses.values()].flatMap(({ processes }) => processes.map((entry) => [entry.name, entry])),
  );
  const specOf = (name: string) => plan.processes.find((spec) => spec.name === name);
  const judged = newestPairs(statuses.values());
  // Its agent restarts those of its own host first, and lets it serve afterwards.
  const isBusyAtHome = (own: string, host: string) =>
    known.get(own)?.state !== 'ready' &&
    judged.some(
      ({ prefill, decode, state }) =>
        state === 'failed' &&
        (prefill === own || decode === own) &&
        specOf(prefill)?.host === host &&
        specOf(decode)?.host === host,
    );
  for (const { host, prefill, decode, state } of judged) {
    const [own, peer] = specOf(prefill)?.host === host ? [prefill, decode] : [decode, prefill];
    const spec = specOf(peer);
    if (state !== 'failed' || !spec || spec.host === host || specOf(own)?.host !== host) continue;
    if (!isEngineName(spec.engine) || findEngine(spec.engine).capabilities.survivesPeerRestart) continue;
    // A proof that failed at the start is the start's; a worker that came back is one that was restarted.
    if (spec.restart.policy === 'never' || (known.get(own)?.generation ?? 1) < 2) continue;
    if (isBusyAtHome(own, host)) continue;
    const alike = plan.processes.filter((other) => other.role === spec.role && other.model === spec.model);
    if (alike.some((other) => known.get(other.name)?.state !== 'ready')) continue;
    const key = `${own}#${known.get(own)?.generation} ${peer}`;
    if (told.has(key)) continue;
    return { name: peer, key, because: `${own} came back, and it cannot hand over with its new life` };
  }
  return undefined;
}

export interface PeerWatchContext {
  plan(): LaunchPlan;
  statuses(): ReadonlyMap<string, AgentStatus>;
  /** Whether the deployment is being changed: then it is looked at again later. */
  busy(): boolean;
  restart(name: string): Promise<void>;
  events: EventLog;
}

/** Restarts such workers, one after the other. Looked at whenever an agent tells of a change. */
export class PeerWatch {
  readonly #context: PeerWatchContext;
  readonly #told = new Set<string>();
  #restarting = false;

  constructor(context: PeerWatchContext) {
    this.#context = context;
  }

  look(): void {
    const { plan, statuses, busy } = this.#context;
    if (this.#restarting || busy()) return;
    const stale = stalePeer(plan(), statuses(), this.#told);
    if (!stale) return;
    this.#told.add(stale.key);
    this.#restarting = true;
    void this.#restart(stale);
  }

  async #restart({ name, because }: { name: string; because: string }): Promise<void> {
    const { restart, events } = this.#context;
    events.write('recycle', `${because}: restarting it too`, name);
    try {
      await restart(name);
    } catch (error) {
      events.write('recycle', `could not be restarted: ${messageOf(error)}`, name);
    }
    this.#restarting = false;
    this.look();
  }
}
