import { performance } from 'node:perf_hooks';
import { pause } from '../base/abort.ts';
import { formatDuration } from '../base/duration.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import { describeSuspicion, type SuspicionSnapshot } from '../deployment/suspicion.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { fetchText } from '../supervise/probes.ts';

const PERIOD_MS = 1_000;
const TIMEOUT_MS = 2_000;

export interface SuspicionWatchOptions {
  /** The processes of this host. */
  processes(): readonly ProcessSnapshot[];
  events: Pick<EventLog, 'write'>;
  /** Another set of suspicions than before. */
  changed(): void;
  signal: AbortSignal;
}

interface Suspected {
  suspicion: SuspicionSnapshot;
  /** Monotonic. */
  atMs: number;
}

/**
 * Which workers the frontends of this host avoid, and why: asked of each every second, because only a frontend knows whom it cannot
 * reach. What begins and ends is an event.
 */
export class SuspicionWatch {
  readonly #options: SuspicionWatchOptions;
  #known = new Map<string, Suspected>();

  constructor(options: SuspicionWatchOptions) {
    this.#options = options;
  }

  list(): SuspicionSnapshot[] {
    const nowMs = performance.now();
    return [...this.#known.values()].map(({ suspicion, atMs }) => ({
      ...suspicion,
      forMs: Math.round(suspicion.forMs + nowMs - atMs),
    }));
  }

  /** Until the signal aborts. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#look();
      await pause(PERIOD_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const frontends = this.#options
      .processes()
      .filter(({ role, state }) => role === 'frontend' && (state === 'ready' || state === 'draining'));
    const told = await Promise.all(frontends.map((frontend) => this.#ask(frontend)));
    if (this.#options.signal.aborted) return;
    const now = new Map<string, Suspected>();
    for (const suspected of told.flat()) now.set(keyOf(suspected.suspicion), suspected);
    const { events } = this.#options;
    for (const [key, { suspicion }] of now)
      if (!this.#known.has(key)) events.write('suspect', describeSuspicion(suspicion), suspicion.worker);
    for (const [key, { suspicion, atMs }] of this.#known) {
      if (now.has(key)) continue;
      const forMs = suspicion.forMs + performance.now() - atMs;
      const { frontend, worker } = suspicion;
      events.write('trusted', `${frontend} suspects ${worker} no more, after ${formatDuration(forMs)}`, worker);
    }
    const isSame = now.size === this.#known.size && [...now.keys()].every((key) => this.#known.has(key));
    this.#known = now;
    if (!isSame) this.#options.changed();
  }

  /** One that does not answer is believed to think as before. */
  async #ask({ name, url }: ProcessSnapshot): Promise<Suspected[]> {
    try {
      const { body } = await fetchText(`${url}/health`, { timeoutMs: TIMEOUT_MS, signal: this.#options.signal });
      const atMs = performance.now();
      return readSuspicions(name, JSON.parse(body.toString('utf8'))).map((suspicion) => ({ suspicion, atMs }));
    } catch {
      return [...this.#known.values()].filter(({ suspicion }) => suspicion.frontend === name);
    }
  }
}

const keyOf = ({ frontend, worker }: SuspicionSnapshot): string => `${frontend} ${worker}`;

/** From the body of a frontend's `/health`. Frontends of an earlier release tell none. */
export function readSuspicions(frontend: string, health: unknown): SuspicionSnapshot[] {
  const { instances } = (health ?? {}) as {
    instances?: { name: string; suspicion?: { why: SuspicionSnapshot['why']; forMs: number } | null }[];
  };
  if (!Array.isArray(instances)) return [];
  return instances.flatMap(({ name, suspicion }) =>
    suspicion ? [{ frontend, worker: name, why: suspicion.why, forMs: suspicion.forMs }] : [],
  );
}
