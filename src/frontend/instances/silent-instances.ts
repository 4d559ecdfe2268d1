import type { Instance } from '../../discovery/discovery.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { Origin } from '../upstream/connection.ts';
import type { PoolSilence } from '../upstream/connection-pool.ts';
import { knock } from '../upstream/knock.ts';
import type { KnownInstance } from './instance-table.ts';

/** What silence of a machine means for the workers of a frontend: they become suspect, and others take their requests. */
export function watchSilence(context: () => FrontendContext): PoolSilence {
  const known = (origin: Origin): KnownInstance | undefined =>
    context()
      .instances.list()
      .find((instance) => instance.origin === origin);
  // Discovery may give a worker up while requests still wait for it.
  const records = new WeakMap<Origin, Instance>();
  return {
    knock,
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
    hasOther(origin) {
      const own = known(origin)?.record ?? records.get(origin);
      return own !== undefined && hasOther(context(), own);
    },
  };
}

/** Whether what waits for one worker can be done by another, which is not suspect itself. */
function hasOther({ instances, options }: FrontendContext, { name, model, role }: Instance): boolean {
  const takes = role === 'prefill' && options.decodeFallback ? ['prefill', 'decode'] : [role];
  return instances
    .list()
    .some(
      ({ record, state, suspicion }) =>
        record.name !== name &&
        record.model === model &&
        takes.includes(record.role) &&
        state !== 'draining' &&
        suspicion === null,
    );
}
