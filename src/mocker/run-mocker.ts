import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { aborted, pause } from '../base/abort.ts';
import { formatDuration } from '../base/duration.ts';
import { messageOf, systemCode } from '../base/errors.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { Engine } from './engine.ts';
import type { EngineLog } from './engine-log.ts';
import { findFault } from './faults.ts';
import type { Generation } from './generation.ts';
import { closeHttp, listenHttp } from './http-server.ts';
import { serveKvEvents } from './kv-event-server.ts';
import { KvHolder } from './kv-holder.ts';
import { KvReader } from './kv-reader.ts';
import type { RemotePrefill } from './kv-transfer-params.ts';
import { MockerMetrics } from './metrics.ts';
import { type JoinedGroup, joinGroup, leadGroup, type MockerNode } from './node-group.ts';
import type { MockerOptions } from './options.ts';
import { listenSideChannel } from './side-channel-server.ts';
import type { Worker } from './worker.ts';

/**
 * starting ──▶ serving ──SIGTERM──▶ draining (up to --shutdown-timeout) ──▶ closed
 *    │            └──────fault────────────────────────────────────────────▶ closed
 *    └──SIGTERM, failure──▶ closed
 *
 * Runs a simulated worker until it is told to stop or a fault ends it. Returns the exit status.
 */
export async function runMocker(options: MockerOptions, log: EngineLog): Promise<number> {
  const terminated = new AbortController();
  const closed = new AbortController();
  const onSignal = () => {
    if (findFault(options.faults, 'ignore-sigterm')) log.warn('[shutdown] API server: signal ignored');
    else terminated.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    return await serve(options, log, terminated.signal, closed.signal);
  } catch (error) {
    if (terminated.signal.aborted) return 0;
    for (const line of describeFailure(error, options)) log.error(line);
    return 1;
  } finally {
    closed.abort();
  }
}

async function serve(
  options: MockerOptions,
  log: EngineLog,
  terminated: AbortSignal,
  closed: AbortSignal,
): Promise<number> {
  log.info(`vLLM API server version 0.32.0+mocker (simulated), model ${options.modelName}`);
  if (options.node && options.node.rank > 0) return follow(options, options.node, log, { terminated, closed });
  const { worker, holder } = await startEngine(options, log, terminated, closed);
  const group = options.node && (await leadGroup(options.node, log, { terminated, closed }));
  const server = await listenHttp(worker);
  log.info(`Starting vLLM server on http://${options.host}:${options.port}`);
  log.info('Application startup complete.');
  const status = await Promise.race([
    aborted(terminated).then(() => undefined),
    fatalFault(options, log, closed),
    ...(group ? [endOf(group, log)] : []),
  ]);
  if (status !== undefined) return status;

  await drain(worker, holder, log);
  await closeHttp(server);
  log.info('[shutdown] API server: stopped');
  return 0;
}

/** A host that computes for another one: it has no HTTP surface, and ends when its leader does. */
async function follow(
  options: MockerOptions,
  node: MockerNode,
  log: EngineLog,
  { terminated, closed }: { terminated: AbortSignal; closed: AbortSignal },
): Promise<number> {
  const failure = findFault(options.faults, 'fail-start');
  if (failure) throw new Error(failure.message);
  const slowMs = findFault(options.faults, 'slow-start')?.ms ?? 0;
  await pretendToLoad(
    options.startupMs + slowMs,
    findFault(options.faults, 'never-ready') !== undefined,
    log,
    terminated,
  );
  const group = await joinGroup(node, log, terminated);
  const ends = [aborted(terminated).then(() => 0), fatalFault(options, log, closed), endOf(group, log)];
  return Promise.race(ends);
}

/** Exit status of a member once another one is gone. */
async function endOf({ lost }: JoinedGroup, log: EngineLog): Promise<number> {
  log.error(`EngineCore encountered a fatal error: ${await lost}`);
  return 1;
}

/** Everything before the HTTP surface: checks, side channel, and the pretence of loading weights. */
async function startEngine(
  options: MockerOptions,
  log: EngineLog,
  terminated: AbortSignal,
  closed: AbortSignal,
): Promise<{ worker: Worker; holder: KvHolder }> {
  checkConfiguration(options);
  const startupMs = options.startupMs + (findFault(options.faults, 'slow-start')?.ms ?? 0);
  const neverReady = findFault(options.faults, 'never-ready') !== undefined;
  // vLLM binds its port before it loads anything, so that a clash shows at once.
  if (startupMs > 0 || neverReady) await probePort(options);
  log.info('Loading weights');
  const failure = findFault(options.faults, 'fail-start');
  if (failure) throw new Error(failure.message);
  const publisher = options.kvEvents ? await serveKvEvents(options.kvEvents, options.blockSize, closed) : null;
  const scheduler = new Scheduler<Generation>({
    blockSize: options.blockSize,
    totalBlocks: options.totalBlocks,
    maxNumSeqs: options.maxNumSeqs,
    maxNumBatchedTokens: options.maxNumBatchedTokens,
    enablePrefixCaching: options.enablePrefixCaching,
    enableChunkedPrefill: options.enableChunkedPrefill,
    speedupRatio: options.speedupRatio,
    decodeSpeedupRatio: options.decodeSpeedupRatio,
    ...(publisher ? { events: publisher } : {}),
  });
  const metrics = new MockerMetrics(processStartSeconds());
  const wiring = { options, scheduler, metrics, log, signal: closed };
  const holder = new KvHolder({ ...wiring, engineId: randomUUID(), onFree: () => engine.wake() });
  const reader = new KvReader({
    ...wiring,
    fail: (generation) => engine.fail(generation),
    wake: () => engine.wake(),
  });
  const engine: Engine = new Engine({
    scheduler,
    metrics,
    connector:
      options.disaggregationMode === 'agg'
        ? null
        : {
            queued: (generation) => reader.queued(generation),
            load: (generation) => reader.load(generation),
            unwanted: (generation) => reader.unwanted(generation),
            hold: (generation) => holder.hold(generation),
          },
    tracker: publisher,
    errorAfterTokens: findFault(options.faults, 'error-after-tokens')?.tokens ?? null,
    signal: closed,
  });
  if (options.disaggregationMode !== 'agg') await openSideChannel(options, holder, closed, log);
  await pretendToLoad(startupMs, neverReady, log, terminated);
  const tokens = options.totalBlocks * options.blockSize;
  const gib = (tokens * options.kvBytesPerToken) / 1024 ** 3;
  log.info(`Available KV cache memory: ${gib.toFixed(2)} GiB`);
  log.info(`GPU KV cache size: ${withCommas(tokens)} tokens`);
  const releaseRemote = (remote: RemotePrefill) => reader.release(remote);
  return { worker: { options, engine, metrics, log, releaseRemote, load: { arrived: 0, active: 0 } }, holder };
}

function checkConfiguration(options: MockerOptions): void {
  const { maxModelLen, totalBlocks, blockSize, enableChunkedPrefill, maxNumBatchedTokens } = options;
  const room = totalBlocks * blockSize;
  if (maxModelLen > room) {
    throw new Error(
      `To serve at least one request with the model's max seq len (${maxModelLen}), more KV cache is needed than there is: ${totalBlocks} blocks of ${blockSize} tokens hold ${room}. Try increasing --num-gpu-blocks-override or decreasing --max-model-len.`,
    );
  }
  if (!enableChunkedPrefill && maxNumBatchedTokens < maxModelLen) {
    throw new Error(
      `max_num_batched_tokens (${maxNumBatchedTokens}) is smaller than max_model_len (${maxModelLen}). Without chunked prefill a prompt must fit into one batch.`,
    );
  }
}

async function openSideChannel(
  options: MockerOptions,
  holder: KvHolder,
  signal: AbortSignal,
  log: EngineLog,
): Promise<void> {
  const { sideChannelHost: host, sideChannelPort: port } = options;
  await listenSideChannel({ host, port, answer: (request) => holder.answer(request), signal });
  log.info(`NIXL side channel listening on ${host}:${port}`);
}

/** Waits as long as loading would take, saying so. Ends early, by an error, when told to stop. */
async function pretendToLoad(ms: number, forEver: boolean, log: EngineLog, terminated: AbortSignal): Promise<void> {
  const started = performance.now();
  for (;;) {
    const passed = performance.now() - started;
    if (passed >= ms && !forEver) break;
    const shown = forEver ? 'still loading' : `${Math.round((passed / ms) * 100)}% completed`;
    log.info(`Loading safetensors checkpoint shards: ${shown}`);
    await pause(Math.min(1_000, forEver ? 1_000 : ms - passed), terminated);
    terminated.throwIfAborted();
  }
  log.info(`Loading weights took ${formatDuration(ms)}`);
}

/** Fails like a bind would when the port is taken, without keeping it. */
function probePort({ host, port }: MockerOptions): Promise<void> {
  const server = net.createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => server.close(() => resolve()));
  });
}

/** Resolves with an exit status when a fault ends the worker. */
function fatalFault(options: MockerOptions, log: EngineLog, signal: AbortSignal): Promise<number> {
  const hang = findFault(options.faults, 'hang-after');
  if (hang) {
    void pause(hang.ms, signal).then(() => {
      if (signal.aborted) return;
      log.warn('fault: hanging now');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
  }
  const exit = findFault(options.faults, 'exit-after');
  if (!exit) return new Promise(() => {});
  return pause(exit.ms, signal).then(() => {
    log.error(`EngineCore encountered a fatal error: exiting with status ${exit.code}`);
    return exit.code;
  });
}

/** Lets what runs finish and held blocks be read within the timeout; then aborts the rest. */
async function drain(worker: Worker, holder: KvHolder, log: EngineLog): Promise<void> {
  const { engine, options } = worker;
  log.info(`[shutdown] API server: draining, timeout ${formatDuration(options.shutdownTimeoutMs)}`);
  engine.drain();
  const end = performance.now() + options.shutdownTimeoutMs;
  const never = new AbortController().signal;
  while ((engine.live.size > 0 || holder.heldCount > 0) && performance.now() < end) await pause(10, never);
  engine.abortAll();
}

function describeFailure(error: unknown, options: MockerOptions): string[] {
  if (systemCode(error) === 'EADDRINUSE') {
    const { host, port } = addressOf(error) ?? options;
    return [`[Errno 98] error while attempting to bind on address ('${host}', ${port}): address already in use`];
  }
  return ['EngineCore failed to start.', `RuntimeError: ${messageOf(error)}`];
}

function addressOf(error: unknown): { host: string; port: number } | undefined {
  if (typeof error !== 'object' || error === null || !('address' in error) || !('port' in error)) return undefined;
  return { host: String(error.address), port: Number(error.port) };
}

/** `1,048,576`, without loading the tables of a locale. */
function withCommas(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function processStartSeconds(): number {
  return Math.round(Date.now() - process.uptime() * 1_000) / 1_000;
}
