import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { membersOf } from '../plan/worker-group.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentLink } from './agent-link.ts';
import type { AgentLinks } from './agent-links.ts';
import type { RecordKeeper } from './record-keeper.ts';
import { restartRolling, rollingOrder } from './rolling-restart.ts';

/** Patience with an agent that is being replaced. */
const AGENT_BACK_MS = 30_000;

export interface ProcessActionsContext {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
  /** Ends with the controller, or a stop. */
  signal: AbortSignal;
}

/** What can be asked for processes of a committed deployment. */
export class ProcessActions {
  readonly #context: ProcessActionsContext;

  constructor(context: ProcessActionsContext) {
    this.#context = context;
  }

  /**
   * `drain` takes a process, or all of a host, out of service; `restart` brings it back. Throws `USAGE` when the plan has none of
   * that name, `HOST_UNREACHABLE` when its host has no agent that answers.
   */
  async act(action: 'drain' | 'restart', name: string): Promise<void> {
    for (const spec of this.#find(action, name)) {
      this.#context.events.write(action, `asked to ${action} it`, spec.name);
      if (action === 'drain') await this.#drain(spec);
      else await this.#restart(spec);
    }
  }

  /** One process after the other. Resolves with their names. */
  async rolling(targets: readonly string[]): Promise<string[]> {
    const { record, events, signal } = this.#context;
    this.#mustBeCommitted();
    const { plan } = record.current;
    return restartRolling(rollingOrder(plan, targets), {
      plan,
      signal,
      processes: () => this.#processes(),
      restart: (spec) => this.#restart(spec),
      onEvent: (message, process) => events.write('rolling', message, process),
    });
  }

  async #drain(spec: ProcessSpec): Promise<void> {
    for (const member of this.#members(spec))
      await this.#ask(member.host, (link) => link.request('drain', { name: member.name }));
  }

  /** A worker that spans hosts goes down as one and comes back as one. */
  async #restart(spec: ProcessSpec): Promise<void> {
    const members = this.#members(spec);
    if (members.length === 1) {
      await this.#ask(spec.host, (link) => link.request('restart', { name: spec.name }));
      return;
    }
    await this.#drain(spec);
    await Promise.all(
      members.map((member) => this.#ask(member.host, (link) => link.request('bringUp', { name: member.name }))),
    );
  }

  /** Once more on the next agent when one is lost on the way. */
  async #ask(host: string, action: (link: AgentLink) => Promise<unknown>): Promise<void> {
    const { links, signal } = this.#context;
    links.to(host);
    for (;;) {
      const link = await until(() => links.all.find((entry) => entry.host === host && entry.status), {
        deadlineMs: AGENT_BACK_MS,
        signal,
      });
      if (!link) throw new DynamoError('HOST_UNREACHABLE', `no agent answers on ${host}`);
      try {
        await action(link);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof DynamoError) || error.code !== 'CONNECT_FAILED') throw error;
        await pause(50, signal);
      }
    }
  }

  #processes(): ProcessSnapshot[] {
    return [...this.#context.links.statuses().values()].flatMap((status) => status.processes);
  }

  #members(spec: ProcessSpec): ProcessSpec[] {
    return membersOf(spec, this.#context.record.current.plan.processes);
  }

  /** The process of that name, the whole worker it is part of, or for a drain all of a host: frontends go last. */
  #find(action: 'drain' | 'restart', name: string): ProcessSpec[] {
    this.#mustBeCommitted();
    const { plan } = this.#context.record.current;
    const spec = plan.processes.find((process) => process.name === name);
    if (spec) return [this.#members(spec)[0]!];
    const onHost = action === 'drain' ? plan.processes.filter((process) => process.host === name) : [];
    if (onHost.length > 0) {
      const leaders = new Set(
        onHost.filter(({ role }) => role !== 'store').map((process) => this.#members(process)[0]!),
      );
      return [...leaders].toSorted((a, b) => Number(a.role === 'frontend') - Number(b.role === 'frontend'));
    }
    const hosts = action === 'drain' && plan.hosts.length > 1 ? `, and the hosts ${plan.hosts.join(', ')}` : '';
    throw new DynamoError('USAGE', `there is no process ${name}`, {
      hint: `There are ${plan.processes.map((process) => process.name).join(', ')}${hosts}.`,
    });
  }

  #mustBeCommitted(): void {
    const { current } = this.#context.record;
    if (current.phase !== 'committed') throw new DynamoError('DEPLOYMENT_BUSY', `${current.name} is ${current.phase}`);
  }
}
