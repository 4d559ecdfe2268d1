import { DynamoError } from '../base/errors.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import type { AgentLinks } from './agent-links.ts';

const DOWN: ReadonlySet<string> = new Set(['backoff', 'exited', 'failed']);

export interface GroupWatchContext {
  plan(): LaunchPlan;
  links: AgentLinks;
  onEvent(message: string, process: string): void;
}

/**
 * Restarts workers that span hosts as one. Each agent ends its own members when one of them ends; what happens on other hosts
 * only the controller sees. Looked at whenever an agent tells of a change.
 */
export class GroupWatch {
  readonly #context: GroupWatchContext;
  /** Whose end the others were told of last, by group. */
  readonly #told = new Map<string, string>();
  /** Incarnations of the members when they were last told to start again. */
  readonly #went = new Map<string, Map<string, number>>();

  constructor(context: GroupWatchContext) {
    this.#context = context;
  }

  look(): void {
    const { plan, links } = this.#context;
    const groups = Map.groupBy(
      plan().processes.filter((spec) => spec.group),
      (spec) => spec.group!.name,
    );
    if (groups.size === 0) return;
    const known = new Map(
      [...links.statuses().values()].flatMap(({ processes }) => processes.map((entry) => [entry.name, entry])),
    );
    for (const [group, members] of groups)
      if (new Set(members.map((spec) => spec.host)).size > 1) this.#lookAt(group, members, known);
  }

  #lookAt(group: string, members: readonly ProcessSpec[], known: ReadonlyMap<string, ProcessSnapshot>): void {
    const states = members.map((spec) => known.get(spec.name));
    const went = this.#went.get(group);
    // One that was told to go and has not gone yet is about to: it ended before, not now.
    const isGoing = (entry: ProcessSnapshot) => entry.state === 'backoff' && went?.get(entry.name) === entry.generation;
    for (const entry of states) if (entry && isGoing(entry)) void this.#tell(entry.host, group, null);
    const ended = states.find((entry) => entry?.state === 'backoff' && !isGoing(entry));
    if (!ended) {
      this.#told.delete(group);
      return;
    }
    const hosts = new Set(members.map((spec) => spec.host));
    // Unknown is not dead: a member whose host does not answer may still run.
    if (states.every((entry) => entry !== undefined && DOWN.has(entry.state))) {
      this.#went.set(group, new Map(states.map((entry) => [entry!.name, entry!.generation])));
      for (const host of hosts) void this.#tell(host, group, null);
      return;
    }
    const news = `${ended.name} ${ended.generation}`;
    if (this.#told.get(group) === news) return;
    this.#told.set(group, news);
    const reason = `${ended.name} of its group ended on ${ended.host}`;
    this.#context.onEvent(`${reason}: the whole worker restarts`, group);
    for (const host of hosts) if (host !== ended.host) void this.#tell(host, group, reason);
  }

  async #tell(host: string, group: string, lost: string | null): Promise<void> {
    try {
      const link = this.#context.links.to(host);
      if (lost === null) await link.request('groupGo', { group });
      else await link.request('groupLost', { group, reason: lost });
    } catch (error) {
      // Told again when that agent is back.
      this.#told.delete(group);
      if (!(error instanceof DynamoError)) throw error;
    }
  }
}
