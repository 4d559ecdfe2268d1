import type { Server } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Logger } from '../base/log.ts';
import { until } from '../base/until.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { seededRandom } from '../routing/random.ts';
import { DecisionLog } from './decision-log.ts';
import type { FrontendContext } from './frontend-context.ts';
import { FrontendMetrics } from './frontend-metrics.ts';
import type { FrontendOptions } from './frontend-options.ts';
import { createHttpServer, listen } from './http-server.ts';
import { InstanceTable } from './instances/instance-table.ts';
import { followDiscovery, probeDoubtful } from './instances/instance-watch.ts';
import { watchSilence } from './instances/silent-instances.ts';
import { ModelTable } from './model-table.ts';
import { TransferEvidence } from './transfer/transfer-evidence.ts';
import { ConnectionPool, DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_IDLE_TIMEOUT_MS } from './upstream/connection-pool.ts';

const DECISIONS_KEPT = 200;
/** Time for the last error events to reach their clients once a drain is over. */
const CUT_GRACE_MS = 500;

/** A frontend that listens. */
export interface Frontend {
  readonly port: number;
  readonly context: FrontendContext;
  /**
   * Takes no new requests, lets running ones finish for up to `drainTimeoutMs`, ends the rest with an error, closes.
   * Resolves with the number of requests that were cut.
   */
  drain(drainTimeoutMs: number): Promise<number>;
  /** Closes at once. */
  close(): Promise<void>;
}

/**
 * Starts a frontend: HTTP in front, the instances of `discovery` behind. Throws `PORT_IN_USE`.
 * listening → draining → closed; requests are accepted in the first state only.
 */
export async function startFrontend(options: FrontendOptions, discovery: Discovery, log: Logger): Promise<Frontend> {
  const stop = new AbortController();
  const metrics = new FrontendMetrics();
  const models = new ModelTable({
    mode: options.routerMode,
    blockSize: options.kvCacheBlockSize,
    weights: { overlapScoreCredit: options.overlapScoreCredit, prefillLoadScale: options.prefillLoadScale },
    temperature: options.temperature,
    ttlMs: options.routerTtlMs,
    random: seededRandom(options.seed),
  });
  const instances = new InstanceTable({
    added(instance) {
      models.addWorker(instance);
      log.info({ worker: instance.record.name, generation: instance.record.generation }, 'worker added');
    },
    dropped(instance, reason) {
      models.removeWorker(instance);
      context.transfers.quarantine.forget(instance.record);
      log.info({ worker: instance.record.name, generation: instance.record.generation, reason }, 'worker dropped');
    },
  });
  const pool = new ConnectionPool({
    idleTimeoutMs: DEFAULT_IDLE_TIMEOUT_MS,
    connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
    silenceTimeoutMs: options.requestTimeoutMs,
    silence: watchSilence(() => context, stop.signal),
    signal: stop.signal,
  });
  const context: FrontendContext = {
    options,
    log,
    metrics,
    pool,
    instances,
    models,
    decisions: new DecisionLog(DECISIONS_KEPT),
    transfers: new TransferEvidence({ pool, quarantineMs: options.kvQuarantineMs, signal: stop.signal }),
    active: new Set(),
    isDraining: false,
  };
  metrics.registry.onCollect(() => collectWorkers(context));
  const server = createHttpServer(context);
  const port = await listen(server, options.httpHost, options.httpPort);
  const followers = [
    followDiscovery(discovery, instances, log, stop.signal),
    probeDoubtful(pool, instances, log, stop.signal),
  ];
  const close = async (): Promise<void> => {
    stop.abort();
    server.closeAllConnections();
    await closeServer(server);
    await Promise.all(followers);
  };
  return {
    port,
    context,
    close,
    async drain(drainTimeoutMs) {
      context.isDraining = true;
      const end = performance.now() + drainTimeoutMs;
      await noneActive(context, drainTimeoutMs);
      const cut = [...context.active];
      for (const request of cut) request.abort();
      if (cut.length > 0) {
        log.warn({ requests: cut.length, drainTimeoutMs }, 'requests cut by drain');
        await noneActive(context, CUT_GRACE_MS);
      }
      await closeWhenSent(server, Math.max(CUT_GRACE_MS, end - performance.now()));
      await close();
      return cut.length;
    },
  };
}

async function noneActive(context: FrontendContext, deadlineMs: number): Promise<void> {
  await until(() => (context.active.size === 0 ? true : undefined), { deadlineMs, intervalMs: 5, maxIntervalMs: 50 });
}

/** Closes as soon as slow clients have taken the last bytes of their responses. */
async function closeWhenSent(server: Server, deadlineMs: number): Promise<void> {
  let isClosed = false;
  server.close(() => {
    isClosed = true;
  });
  const check = (): true | undefined => {
    server.closeIdleConnections();
    return isClosed ? true : undefined;
  };
  await until(check, { deadlineMs, intervalMs: 5, maxIntervalMs: 50 });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Sets the gauges that describe workers as they are now. */
function collectWorkers({ metrics, instances, models, transfers }: FrontendContext): void {
  metrics.quarantinedPairs.set(transfers.quarantine.list(performance.now()).length, []);
  for (const gauge of [
    metrics.workers,
    metrics.workerInFlight,
    metrics.workerPrefillTokens,
    metrics.workerDecodeBlocks,
  ]) {
    gauge.clear();
  }
  for (const { record, state, suspicion, inFlight } of instances.list()) {
    const model = record.model ?? '';
    metrics.workers.add(1, [model, record.role, suspicion === null ? state : 'suspect']);
    metrics.workerInFlight.set(inFlight, [model, record.name, record.role]);
  }
  for (const model of models.list()) {
    for (const [role, router] of model.routers) {
      for (const worker of router.workers()) {
        const labels = [model.name, worker.id, role];
        metrics.workerPrefillTokens.set(worker.load.activePrefillTokens, labels);
        metrics.workerDecodeBlocks.set(worker.load.activeBlocks, labels);
      }
    }
  }
}
