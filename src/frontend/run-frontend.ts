import { once } from 'node:events';
import { EXIT_FORCED } from '../base/errors.ts';
import { createLogger } from '../base/log.ts';
import { createDiscovery } from '../discovery/create-discovery.ts';
import { startFrontend } from './frontend.ts';
import type { FrontendOptions } from './frontend-options.ts';

/**
 * Runs a frontend until SIGTERM or SIGINT, then drains it. Returns the exit status: 0 after a drain, 130 when a second
 * signal ended it at once.
 */
export async function runFrontend(options: FrontendOptions): Promise<number> {
  const log = createLogger({ process: options.processName, deployment: options.deployment });
  const first = new AbortController();
  const second = new AbortController();
  const onSignal = (signal: string): void => {
    log.info({ signal }, first.signal.aborted ? 'stopping at once' : 'draining');
    (first.signal.aborted ? second : first).abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // A frontend that starts during an outage of the store listens, says what it waits for, and goes on when the store is back.
  await using discovery = await createDiscovery(options.discovery, {
    deployment: options.deployment,
    ttlMs: options.discoveryTtlMs,
    mayBeAway: true,
  });
  const frontend = await startFrontend(options, discovery, log);
  log.info(
    { url: `http://${options.httpHost}:${frontend.port}`, routerMode: options.routerMode, pid: process.pid },
    'frontend listening',
  );
  if (!first.signal.aborted) await once(first.signal, 'abort');
  const forced = second.signal.aborted ? Promise.resolve() : once(second.signal, 'abort');
  const drained = frontend.drain(options.drainTimeoutMs).then(() => 0);
  return Promise.race([drained, forced.then(() => EXIT_FORCED)]);
}
