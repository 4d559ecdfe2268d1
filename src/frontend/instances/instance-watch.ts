import { performance } from 'node:perf_hooks';
import { pause } from '../../base/abort.ts';
import { messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Discovery } from '../../discovery/discovery.ts';
import type { ConnectionPool } from '../upstream/connection-pool.ts';
import { probeInstance } from './instance-probe.ts';
import { type InstanceTable, type KnownInstance, suspicionAt } from './instance-table.ts';

const PROBE_PERIOD_MS = 1_000;
const PROBE_TIMEOUT_MS = 2_000;
const REWATCH_MS = 1_000;

/** Feeds the table from discovery until `signal` aborts. A watch that breaks is begun again. */
export async function followDiscovery(
  discovery: Discovery,
  table: InstanceTable,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of discovery.watch({ signal })) {
        if (event.type === 'store') log.warn({ problem: event.message }, 'discovery store');
        table.apply(event);
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the discovery watch broke');
      table.storeProblem = messageOf(error);
    }
    await pause(REWATCH_MS, signal);
  }
}

/** Probes lapsed and suspect instances every second: drops lapsed ones that fail, clears suspects that answer. */
export async function probeDoubtful(
  pool: ConnectionPool,
  table: InstanceTable,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const doubtful = table.list().filter((instance) => instance.suspicion !== null || instance.state === 'lapsed');
    await Promise.all(doubtful.map((instance) => settleDoubt(pool, table, instance, log)));
    await pause(PROBE_PERIOD_MS, signal);
  }
}

async function settleDoubt(
  pool: ConnectionPool,
  table: InstanceTable,
  instance: KnownInstance,
  log: Logger,
): Promise<void> {
  const problem = await probeInstance(pool, instance.record, instance.origin, PROBE_TIMEOUT_MS);
  if (problem === undefined) {
    if (instance.suspicion !== null)
      log.info(
        { worker: instance.record.name, ...suspicionAt(instance.suspicion, performance.now()) },
        'the worker answers again',
      );
    instance.suspicion = null;
  } else if (instance.state === 'lapsed') table.drop(instance, `lapsed, and ${problem}`);
}
