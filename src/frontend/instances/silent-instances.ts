import { performance } from 'node:perf_hooks';
import type { Instance } from '../../discovery/discovery.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { Origin } from '../upstream/connection.ts';
import type { PoolSilence } from '../upstream/connection-pool.ts';
import { type Knock, knock } from '../upstream/knock.ts';
import type { KnownInstance } from './instance-table.ts';

/** An answer is proof that a machine is there for so long; without one, another attempt is made as often. */
const PROOF_MS = 2_000;
/** A cut network that is mended sooner costs no stream that has begun; a machine that lost its power must not hold one for ever. */
const GIVE_UP_MS = 60_000;

/**
 * What silence of a machine means for the workers of a frontend: they become suspect, and others take their requests. Attempts to
 * connect that are under way end with the signal.
 */
export function watchSilence(context: () => FrontendContext, signal: AbortSignal, tryKnock = knock): PoolSilence {
  const known = (origin: Origin): KnownInstance | undefined =>
    context()
      .instances.list()
      .find((instance) => instance.origin === origin);
  // Discovery may give a worker up while requests still wait for it.
  const records = new WeakMap<Origin, Instance>();
  const recordOf = (origin: Origin): Instance | undefined => known(origin)?.record ?? records.get(origin);
  const machines = new Machines(tryKnock, signal);
  return {
    knock: tryKnock,
    doubted(origin) {
      const own = recordOf(origin);
      if (own !== undefined) for (const other of othersThan(context(), own)) machines.isThere(other.origin);
    },
    silent(origin, sinceMs) {
      const instance = known(origin);
      if (instance === undefined) return;
      records.set(origin, instance.record);
      instance.suspicion = { why: 'silent', sinceMs };
      const { log, pool } = context();
      // What is sent on a kept connection now may be late by the time its machine is back.
      pool.dropIdle(origin);
      log.warn(
        { worker: instance.record.name, inFlight: instance.inFlight },
        'nothing comes from the machine of a worker: requests go elsewhere until it answers',
      );
    },
    isAvoided: (origin) => known(origin)?.suspicion != null,
    giveUpMs: GIVE_UP_MS,
    hasOther(origin) {
      const own = recordOf(origin);
      return own !== undefined && othersThan(context(), own).some((other) => machines.isThere(other.origin));
    },
  };
}

/** Workers that could do what waits for another, and are not suspect themselves. */
function othersThan({ instances, options }: FrontendContext, { name, model, role }: Instance): KnownInstance[] {
  const takes = role === 'prefill' && options.decodeFallback ? ['prefill', 'decode'] : [role];
  return instances
    .list()
    .filter(
      ({ record, state, suspicion }) =>
        record.name !== name &&
        record.model === model &&
        takes.includes(record.role) &&
        state !== 'draining' &&
        suspicion === null,
    );
}

/**
 * Which machines have answered of late. Where this machine is the one that is cut off, none has, and requests had better wait than
 * be passed around.
 */
class Machines {
  readonly #knock: typeof knock;
  readonly #answeredAtMs = new WeakMap<Origin, number>();
  readonly #asked = new WeakMap<Origin, { knock: Knock; atMs: number }>();
  readonly #underWay = new Set<Knock>();
  readonly #signal: AbortSignal;

  constructor(tryKnock: typeof knock, signal: AbortSignal) {
    this.#knock = tryKnock;
    this.#signal = signal;
    signal.addEventListener('abort', () => {
      for (const attempt of this.#underWay) this.#end(attempt);
    });
  }

  /** Asks it when there is no answer of late: the next call may know more. */
  isThere(origin: Origin): boolean {
    const nowMs = performance.now();
    if (nowMs - (this.#answeredAtMs.get(origin) ?? Number.NEGATIVE_INFINITY) < PROOF_MS) return true;
    const asked = this.#asked.get(origin);
    if (asked !== undefined && nowMs - asked.atMs < PROOF_MS) return false;
    if (asked) this.#end(asked.knock);
    if (this.#signal.aborted) return false;
    const attempt = this.#knock(origin, () => {
      this.#answeredAtMs.set(origin, performance.now());
      this.#underWay.delete(attempt);
    });
    this.#underWay.add(attempt);
    this.#asked.set(origin, { knock: attempt, atMs: nowMs });
    return false;
  }

  #end(attempt: Knock): void {
    this.#underWay.delete(attempt);
    attempt.end();
  }
}
