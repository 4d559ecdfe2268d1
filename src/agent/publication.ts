import { messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { Discovery, Instance, InstanceRecord, Lease } from '../discovery/discovery.ts';
import { kvEventSourceOf } from '../plan/kv-event-source.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { isFollower } from '../plan/worker-group.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { bootstrapOf } from '../supervise/pair-proof/pair-end.ts';
import { fetchText } from '../supervise/probes.ts';
import { readInstanceFacts } from './instance-facts.ts';

/** The discovery records of this agent's processes: published when proven, drained, withdrawn. */
export class Publication {
  readonly #store: { readonly discovery: Discovery };
  readonly #deployment: string;
  readonly #events: EventLog;
  readonly #signal: AbortSignal;
  readonly #leases = new Map<string, { lease: Lease; generation: number }>();
  /** Registrations that have not ended yet: a second one beside would leave a lease that nobody releases. */
  readonly #underWay = new Map<string, { generation: number; done: Promise<void> }>();

  constructor(store: { readonly discovery: Discovery }, deployment: string, events: EventLog, signal: AbortSignal) {
    this.#store = store;
    this.#deployment = deployment;
    this.#events = events;
    this.#signal = signal;
  }

  /**
   * `failedPeers`: those it must not be paired with.
   * `signal` ends with the incarnation: one that is over by the time it is registered is withdrawn again. A follower serves nobody:
   * there is nothing to say of it.
   */
  async publish(
    spec: ProcessSpec,
    generation: number,
    signal: AbortSignal,
    failedPeers: NonNullable<Instance['failedPeers']> = [],
  ): Promise<void> {
    if (isFollower(spec) || this.#leases.get(spec.name)?.generation === generation) return;
    const earlier = this.#underWay.get(spec.name);
    // Asked again while the first answer is out, as after the loss of another host's agent.
    if (earlier?.generation === generation) return earlier.done;
    const settled = earlier?.done.catch(() => {}) ?? Promise.resolve();
    const done = settled.then(() => this.#register(spec, generation, signal, failedPeers));
    this.#underWay.set(spec.name, { generation, done });
    try {
      await done;
    } finally {
      if (this.#underWay.get(spec.name)?.done === done) this.#underWay.delete(spec.name);
    }
  }

  async #register(
    spec: ProcessSpec,
    generation: number,
    signal: AbortSignal,
    failedPeers: NonNullable<Instance['failedPeers']>,
  ): Promise<void> {
    const bootstrap = bootstrapOf(spec);
    const kvEvents = kvEventSourceOf(spec);
    const instance: Instance = {
      deployment: this.#deployment,
      name: spec.name,
      generation,
      role: spec.role,
      host: spec.host,
      model: spec.model,
      engine: spec.engine,
      url: spec.url,
      kvTransfer: spec.kvTransfer,
      ...(bootstrap === null ? {} : { bootstrap }),
      ...(kvEvents === null ? {} : { kvEvents }),
      ...(spec.hybridKv === undefined ? {} : { hybridKv: spec.hybridKv }),
      ...(failedPeers.length === 0 ? {} : { failedPeers }),
      ...(await readInstanceFacts(spec, signal)),
    };
    const lease = await this.#store.discovery.register(instance, { signal: this.#signal });
    this.#leases.set(spec.name, { lease, generation });
    void lease.lost.then((error) => this.#events.write('lease-lost', messageOf(error), spec.name));
    this.#events.write('published', `${spec.url} is in discovery`, spec.name);
    if (signal.aborted && !this.#signal.aborted) await this.#release(spec.name);
  }

  /** What was published of that very incarnation before, by this agent or an earlier one. */
  async published(name: string, generation: number): Promise<InstanceRecord | undefined> {
    const { instances } = await this.#store.discovery.list();
    return instances.find((entry) => entry.name === name && entry.generation === generation);
  }

  /** The newest generation of each name that the store knows, withdrawn ones included. */
  async newestGenerations(names: readonly string[]): Promise<Map<string, number>> {
    const { instances, tombstones } = await this.#store.discovery.list();
    const newest = new Map<string, number>();
    for (const { name, generation } of [...instances, ...tombstones])
      if (names.includes(name)) newest.set(name, Math.max(newest.get(name) ?? 0, generation));
    return newest;
  }

  /** Ready workers of the other phase that share a model with `spec`: the peers a restarted worker must prove itself with. */
  async peersOf(spec: ProcessSpec): Promise<InstanceRecord[]> {
    const opposite = spec.role === 'prefill' ? 'decode' : spec.role === 'decode' ? 'prefill' : null;
    if (opposite === null || spec.kvTransfer === null) return [];
    const { instances } = await this.#store.discovery.list();
    return instances.filter(
      (entry) => entry.role === opposite && entry.model === spec.model && entry.state === 'ready',
    );
  }

  /**
   * Withdraws in the order that loses nothing: `draining`, then every frontend has acknowledged and has nothing in flight there
   * (or `inFlightMs` is over), then the tombstone.
   */
  async drain(spec: ProcessSpec, inFlightMs: number): Promise<void> {
    await this.#underWay.get(spec.name)?.done.catch(() => {});
    const held = this.#leases.get(spec.name);
    if (!held) return;
    await this.#quietly(spec.name, () => held.lease.drain());
    const frontends = await this.#frontends();
    const drained = await until(
      async () => {
        const answers = await Promise.all(frontends.map((url) => this.#isReleasedBy(url, spec.name, held.generation)));
        return answers.every(Boolean) ? true : undefined;
      },
      { deadlineMs: inFlightMs, intervalMs: 20, maxIntervalMs: 300, signal: this.#signal },
    );
    if (!drained) this.#events.write('drain', `requests were still in flight after ${inFlightMs / 1000} s`, spec.name);
    await this.withdraw(spec.name);
  }

  /** Tombstone now: the process has ended, or nobody may choose it any more. One that is being published is withdrawn after that. */
  async withdraw(name: string): Promise<void> {
    await this.#underWay.get(name)?.done.catch(() => {});
    await this.#release(name);
  }

  async #release(name: string): Promise<void> {
    const held = this.#leases.get(name);
    this.#leases.delete(name);
    if (held) await this.#quietly(name, () => held.lease.release());
  }

  async withdrawAll(): Promise<void> {
    const names = new Set([...this.#leases.keys(), ...this.#underWay.keys()]);
    await Promise.all([...names].map((name) => this.withdraw(name)));
  }

  async #frontends(): Promise<string[]> {
    try {
      const { instances } = await this.#store.discovery.list();
      return instances.filter((entry) => entry.role === 'frontend').map((entry) => entry.url);
    } catch {
      return [];
    }
  }

  /** A frontend that does not answer holds no requests. */
  async #isReleasedBy(url: string, name: string, generation: number): Promise<boolean> {
    try {
      const { body } = await fetchText(`${url}/health`, { timeoutMs: 2_000, signal: this.#signal });
      const { instances } = JSON.parse(body.toString()) as {
        instances: { name: string; generation: number; state: string; inFlight: number }[];
      };
      const own = instances.find((entry) => entry.name === name && entry.generation === generation);
      return own === undefined || (own.state === 'draining' && own.inFlight === 0);
    } catch {
      return true;
    }
  }

  /** Taking back must go on when the store cannot be written. */
  async #quietly(name: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#events.write('discovery', messageOf(error), name);
    }
  }
}
