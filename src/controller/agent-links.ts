import { pause, sleep } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import { DynamoError, type ErrorCode, messageOf } from '../base/errors.ts';
import { ageStatus } from '../deployment/compose-snapshot.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentStatus, EventRecord, GangPhase } from '../supervise/protocol.ts';
import type { OpenHost } from './agent-host.ts';
import { AgentLink } from './agent-link.ts';

const RECONNECT = { initialMs: 100, maxMs: 5_000, factor: 2 };
/** How often a standing line is looked at. */
const LOOK_MS = 100;
/** How often a host that is being stopped is asked whether it is still there, and how long it may take to say so. */
const PING_MS = 3_000;
const PING_TIMEOUT_MS = 10_000;
/** The host, not what runs on it, is the trouble. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['HOST_UNREACHABLE', 'CONNECT_FAILED']);

export interface AgentLinksOptions {
  deployment: string;
  openHost: OpenHost;
  epoch: number;
  owner: string;
  events: EventLog;
  /** Ends with the controller. */
  signal: AbortSignal;
  onChange(): void;
  /** `elsewhere`: it was not written to the event log of this machine. */
  onEvent(event: EventRecord, elsewhere: boolean): void;
  /** From when on events of a host elsewhere are wanted. */
  eventsFrom(host: string): string | null;
}

/** The controller's lines to all its agents, and what it last heard from each. */
export class AgentLinks {
  readonly #options: AgentLinksOptions;
  readonly #heard = new Map<string, { status: AgentStatus; at: number }>();
  #links: AgentLink[] = [];
  #keepUp: ((link: AgentLink) => void) | undefined;

  readonly #stopped = new Set<string>();

  constructor(options: AgentLinksOptions) {
    this.#options = options;
  }

  get all(): readonly AgentLink[] {
    return this.#links;
  }

  /** Hosts on which `stop` has left nothing. */
  get stopped(): readonly string[] {
    return [...this.#stopped];
  }

  /** What each agent that answers said last, times in it brought up to now. */
  statuses(): Map<string, AgentStatus> {
    const now = performance.now();
    return new Map([...this.#heard].map(([host, { status, at }]) => [host, ageStatus(status, now - at)]));
  }

  /** One line a host; nothing is connected yet. */
  make(hosts: readonly string[]): void {
    this.close();
    this.#links = hosts.map((host) => this.#line(host));
  }

  #line(host: string): AgentLink {
    const { deployment, openHost, epoch, owner, onChange, onEvent, eventsFrom } = this.#options;
    return new AgentLink({
      ...{ deployment, host, openHost, epoch, owner, onEvent },
      eventsFrom: () => eventsFrom(host),
      onStatus: (status) => {
        this.#heard.set(host, { status, at: performance.now() });
        onChange();
      },
      onLost: () => {
        this.#heard.delete(host);
        onChange();
      },
    });
  }

  /** One more line, kept up like the others from then on; the one there is, where there is one. Throws why no agent can be spoken to. */
  async add(host: string, signal: AbortSignal): Promise<AgentLink> {
    const known = this.#links.find((link) => link.host === host);
    if (known) return known;
    const link = this.#line(host);
    try {
      await link.ensure(signal);
      await link.attach();
    } catch (error) {
      link.close();
      this.#heard.delete(host);
      throw error;
    }
    this.#links = [...this.#links, link];
    this.#keepUp?.(link);
    return link;
  }

  /** That line is kept up no more; whoever has it closes it. */
  remove(host: string): void {
    this.#links = this.#links.filter((link) => link.host !== host);
    this.#heard.delete(host);
  }

  /** The line to one host. Throws `HOST_UNREACHABLE` while no agent answers there. */
  to(host: string): AgentLink {
    const link = this.#links.find((candidate) => candidate.host === host);
    if (!link?.status) throw new DynamoError('HOST_UNREACHABLE', `no agent answers on ${host}`);
    return link;
  }

  /**
   * Keeps all lines up until the signal aborts, replacing agents that die. Whatever restarts within a host, its agent does alone.
   * `superseded` is called when a newer controller has taken an agent over.
   */
  attend(generation: number, signal: AbortSignal, superseded: () => void): void {
    this.#keepUp = (link) => void this.#keep(link, generation, signal, superseded);
    for (const link of this.#links) this.#keepUp(link);
  }

  async #keep(link: AgentLink, generation: number, signal: AbortSignal, superseded: () => void): Promise<void> {
    // A host may be away for days: why is told once, and again when it is another reason.
    let told = '';
    for (let attempt = 0; !signal.aborted && this.#links.includes(link); ) {
      if (link.connected && link.status) {
        attempt = 0;
        told = '';
        await pause(LOOK_MS, signal);
        continue;
      }
      try {
        await link.ensure(signal);
        const status = await link.attach();
        if (status.phase === 'published') await link.request('settle', { generation });
      } catch (error) {
        if (signal.aborted || !this.#links.includes(link)) return;
        const problem = `no line to the agent of ${link.host}: ${messageOf(error)}`;
        if (problem !== told) this.#options.events.write('agent-lost', problem);
        told = problem;
        if (error instanceof DynamoError && error.code === 'SUPERSEDED') return superseded();
        await pause(backoffDelay(RECONNECT, attempt, Math.random()), signal);
        attempt += 1;
      }
    }
  }

  /** How far each host that can be reached is with that generation; one that has nothing of it is `idle`. */
  async phases(generation: number): Promise<GangPhase[]> {
    const found = await Promise.all(
      this.#links.map(async (link): Promise<GangPhase[]> => {
        try {
          await this.#reach(link);
        } catch (error) {
          this.#options.events.write('agent-lost', `no line to the agent of ${link.host}: ${messageOf(error)}`);
          return [];
        }
        const { status } = link;
        if (!status) return [];
        return [status.generation === generation ? status.phase : 'idle'];
      }),
    );
    return found.flat();
  }

  /**
   * Ends everything on every host that can be reached, starting agents where none answers. Resolves with the pids that could not
   * be ended. Throws `STOP_INCOMPLETE` with the hosts that cannot be reached once the others are done: what they run is not
   * known to have ended, and a later stop has to look.
   */
  async stop(force: boolean): Promise<number[]> {
    const away: string[] = [];
    const failures: unknown[] = [];
    const stopOn = async (link: AgentLink): Promise<number[]> => {
      try {
        await this.#reach(link);
        const { leftPids } = await this.#whileItAnswers(link, link.request('stop', { force }));
        if (leftPids.length === 0) await link.leave();
        if (leftPids.length === 0) this.#stopped.add(link.host);
        return leftPids;
      } catch (error) {
        if (!(error instanceof DynamoError) || !AWAY.has(error.code)) failures.push(error);
        else away.push(`${link.host}: ${error.message}`);
        return [];
      }
    };
    await Promise.all(this.#links.map((link) => this.#reach(link).catch(() => {})));
    // A host whose etcd the others are registered in goes last.
    const last = this.#links.filter(({ status }) => status?.processes.some(({ role }) => role === 'store') ?? false);
    const left: number[] = [];
    for (const group of [this.#links.filter((link) => !last.includes(link)), last])
      left.push(...(await Promise.all(group.map(stopOn))).flat());
    if (failures.length > 0) throw failures[0];
    if (away.length === 0) return left;
    const { deployment } = this.#options;
    throw new DynamoError(
      'STOP_INCOMPLETE',
      `${away.length === 1 ? 'a host' : 'hosts'} of ${deployment} cannot be reached; what runs there stays`,
      {
        details: [...away, ...(left.length > 0 ? [`could not be ended: ${left.join(', ')}`] : [])],
        hint: `Everything else is stopped. When it is back, \`dynamo stop ${deployment}\` or the next \`dynamo serve\` finishes it.`,
      },
    );
  }

  /**
   * Takes an uncommitted start back everywhere. An agent that cannot be told does so by itself when its lease is over; one that
   * another launcher holds has nothing of ours. `onlyOurs`: hosts that were not attached to are left alone, because somebody else is about
   * to. Resolves with whether all were told, and whether all are ours.
   */
  async undo(onlyOurs: boolean): Promise<{ all: boolean; ours: boolean }> {
    let all = true;
    let ours = true;
    for (const link of this.#links) {
      if (onlyOurs && !link.isOurs) {
        ours = false;
        continue;
      }
      try {
        await this.#reach(link);
        await link.request('undo', {});
        await link.leave();
      } catch (error) {
        if (error instanceof DynamoError && error.code === 'DEPLOYMENT_BUSY') {
          ours = false;
          continue;
        }
        all = false;
        this.#options.events.write(
          'undo',
          `the agent of ${link.host} could not be told to undo; it does so by itself: ${messageOf(error)}`,
        );
      }
    }
    return { all, ours };
  }

  /** A host that falls silent in the middle of a request would be waited for without end. */
  async #whileItAnswers<T>(link: AgentLink, work: Promise<T>): Promise<T> {
    const done = new AbortController();
    const silence = async (): Promise<never> => {
      for (;;) {
        await sleep(PING_MS, done.signal);
        await link.request('renew', {}, PING_TIMEOUT_MS);
      }
    };
    const silent = silence();
    silent.catch(() => {});
    work.catch(() => {});
    try {
      return await Promise.race([work, silent]);
    } finally {
      done.abort();
    }
  }

  close(): void {
    for (const link of this.#links) link.close();
    this.#links = [];
    this.#keepUp = undefined;
    this.#heard.clear();
  }

  async #reach(link: AgentLink): Promise<void> {
    if (!link.connected) await link.ensure(this.#options.signal);
    if (!link.status) await link.attach();
  }
}
