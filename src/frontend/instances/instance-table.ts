import type { DiscoveryEvent, Instance } from '../../discovery/discovery.ts';
import type { Origin } from '../upstream/connection.ts';

/** Why new requests avoid a worker: connections to it fail, or nothing at all comes from its machine. */
export interface Suspicion {
  why: 'failing' | 'silent';
  /** Monotonic. */
  sinceMs: number;
}

/**
 * One worker as this frontend sees it:
 *
 *   ready ⇄ lapsed (discovery lost sight of it; kept while it answers our probe) → dropped
 *   ready → draining → dropped
 *
 * `suspicion` is apart from that: new requests go elsewhere until a probe succeeds.
 *
 *   trusted ──a connection fails, or its machine falls silent──▶ suspect ──it answers as itself──▶ trusted
 */
export interface KnownInstance {
  readonly record: Instance;
  readonly origin: Origin;
  state: 'ready' | 'draining' | 'lapsed';
  suspicion: Suspicion | null;
  /** Requests on it, a prefill included until its KV cache has been fetched. */
  inFlight: number;
}

export interface InstanceTableEvents {
  added(instance: KnownInstance): void;
  dropped(instance: KnownInstance, reason: string): void;
}

/** The workers this frontend may use, by name; at most one generation of each. Follows discovery; does no I/O. */
export class InstanceTable {
  readonly #byName = new Map<string, KnownInstance>();
  readonly #events: InstanceTableEvents;
  /** Everything that existed at the start is known. */
  isSynced = false;
  /** Why discovery cannot be read now; null while it can. */
  storeProblem: string | null = null;

  constructor(events: InstanceTableEvents) {
    this.#events = events;
  }

  list(): KnownInstance[] {
    return [...this.#byName.values()];
  }

  get(name: string): KnownInstance | undefined {
    return this.#byName.get(name);
  }

  apply(event: DiscoveryEvent): void {
    switch (event.type) {
      case 'upsert':
        this.#upsert(event.instance, event.instance.state);
        break;
      case 'lapsed': {
        const known = this.#find(event.name, event.generation);
        if (known?.state === 'ready') known.state = 'lapsed';
        break;
      }
      case 'removed': {
        const known = this.#find(event.name, event.generation);
        if (known) this.drop(known, 'withdrawn');
        break;
      }
      case 'synced':
        this.isSynced = true;
        break;
      case 'store':
        this.storeProblem = event.message;
        break;
    }
  }

  drop(instance: KnownInstance, reason: string): void {
    if (this.#byName.get(instance.record.name) !== instance) return;
    this.#byName.delete(instance.record.name);
    this.#events.dropped(instance, reason);
  }

  #find(name: string, generation: number): KnownInstance | undefined {
    const known = this.#byName.get(name);
    return known?.record.generation === generation ? known : undefined;
  }

  #upsert(record: Instance, state: 'ready' | 'draining'): void {
    if (record.model === null || record.role === 'frontend' || record.role === 'router' || record.role === 'planner')
      return;
    const known = this.#byName.get(record.name);
    if (known && known.record.generation > record.generation) return;
    if (known && known.record.generation === record.generation && known.record.url === record.url) {
      known.state = state;
      return;
    }
    if (known) this.drop(known, 'replaced by a newer generation');
    for (const other of this.list()) {
      if (other.record.url === record.url) this.drop(other, `its address now belongs to ${record.name}`);
    }
    const instance: KnownInstance = {
      record,
      origin: originOf(record.url),
      state,
      suspicion: null,
      inFlight: 0,
    };
    this.#byName.set(record.name, instance);
    this.#events.added(instance);
  }
}

/** As health and log show it. */
export function suspicionAt({ why, sinceMs }: Suspicion, nowMs: number): { why: Suspicion['why']; forMs: number } {
  return { why, forMs: Math.round(nowMs - sinceMs) };
}

/** Address in an instance's URL. */
export function originOf(url: string): Origin {
  const { hostname, port, host } = new URL(url);
  return { authority: host, hostname: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) };
}
