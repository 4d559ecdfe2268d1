import type { HostFacts } from '../hosts/host-facts.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { PortBook } from './assign-ports.ts';
import type { DiscoverySpec, DrainSpec, LivenessSpec, ProcessSpec } from './launch-plan.ts';
import { discoveryArgs } from './plan-discovery.ts';
import { bracket, drainOf, explainPort, livenessOf, restartOf } from './plan-workers.ts';

const FRONTEND_PORT_FROM = 8_000;
/** When no worker's engine knows its own. */
const DEFAULT_BLOCK_SIZE = 64;
const LIVENESS: LivenessSpec = {
  check: { kind: 'http', path: '/live' },
  periodMs: 5_000,
  timeoutMs: 5_000,
  failures: 3,
};
const DRAIN: DrainSpec = { inFlightMs: 30_000, killAfterMs: 10_000 };

interface FrontendContext {
  deployment: string;
  discovery: DiscoverySpec;
  discoveryRoot: string;
  ports: PortBook;
  selfCommand: readonly string[];
  workers: readonly ProcessSpec[];
}

/** `frontend`, or `frontend-0`, `frontend-1`, … when there are several. */
export function planFrontends(recipe: Recipe, facts: HostFacts, context: FrontendContext): ProcessSpec[] {
  const blocks = blockSizeFor(context.workers);
  return Array.from({ length: recipe.frontend.replicas }, (_, replica) =>
    planFrontend(recipe, facts, context, blocks, replica),
  );
}

function planFrontend(
  recipe: Recipe,
  facts: HostFacts,
  context: FrontendContext,
  blocks: { size: number; reason: string },
  replica: number,
): ProcessSpec {
  const { frontend } = recipe;
  const name = frontend.replicas === 1 ? 'frontend' : `frontend-${replica}`;
  const fixed = typeof frontend.port === 'number';
  const port = typeof frontend.port === 'number' ? frontend.port + replica : context.ports.take(FRONTEND_PORT_FROM);
  const portReason = fixed
    ? `HTTP port ${port}: the recipe says so`
    : explainPort('http', port, FRONTEND_PORT_FROM, context.ports.skipped());
  const drain = drainOf(frontend.drain, DRAIN);
  return {
    name,
    role: 'frontend',
    host: facts.name,
    model: null,
    engine: null,
    argv: [
      ...context.selfCommand,
      'frontend',
      ...['--http-host', frontend.host, '--http-port', String(port)],
      ...['--deployment', context.deployment, '--process-name', name],
      ...discoveryArgs(context.discovery, context.discoveryRoot),
      ...routerArgs(recipe, blocks.size),
      ...(frontend.requestTimeout === undefined
        ? []
        : ['--request-timeout-secs', String(frontend.requestTimeout / 1_000)]),
      ...['--body-limit-mb', String(Math.max(1, Math.round(frontend.bodyLimit / 1024 ** 2)))],
      ...['--drain-timeout-secs', String(drain.inFlightMs / 1_000)],
      ...leaseArgs(recipe),
      ...(frontend.seed === undefined ? [] : ['--seed', String(frontend.seed + replica)]),
    ],
    env: { ...frontend.env },
    cwd: null,
    ports: { http: port },
    fixedPorts: fixed ? ['http'] : [],
    gpus: [],
    url: `http://${bracket(reachable(frontend.host))}:${port}`,
    // Workers appear in discovery only once every pair is proven, which is after the frontend is up: that it serves all models
    // is checked when they have been published.
    readiness: [{ kind: 'http', path: '/live' }],
    liveness: livenessOf(frontend.liveness, LIVENESS),
    startTimeoutMs: frontend.startTimeout,
    restart: restartOf(frontend.restart),
    drain,
    kvTransfer: null,
    kvBlockSize: null,
    reasons: [
      `runs on ${facts.name}, the only host`,
      portReason,
      blocks.reason,
      'starts last: once it answers, every worker behind it is ready',
    ],
  };
}

function routerArgs({ frontend }: Recipe, blockSize: number): string[] {
  return [
    ...['--router-mode', frontend.routerMode, '--kv-cache-block-size', String(blockSize)],
    ...(frontend.decodeFallback ? ['--decode-fallback'] : []),
    ...['--router-kv-overlap-score-credit', String(frontend.routerKvOverlapScoreCredit)],
    ...['--router-prefill-load-scale', String(frontend.routerPrefillLoadScale)],
    ...['--router-temperature', String(frontend.routerTemperature)],
    ...['--router-ttl-secs', String(frontend.routerTtl / 1_000)],
  ];
}

/** The shortest lease of its models: a frontend must not send leg 2 when it is nearly over. Engines' own is its default. */
function leaseArgs({ models }: Recipe): string[] {
  const leases = models.flatMap(({ kvTransfer }) => kvTransfer.lease ?? []);
  return leases.length === 0 ? [] : ['--kv-lease-secs', String(Math.min(...leases) / 1_000)];
}

/** The block size most workers use. Each worker also says its own in discovery. */
function blockSizeFor(workers: readonly ProcessSpec[]): { size: number; reason: string } {
  const counts = new Map<number, number>();
  for (const { kvBlockSize } of workers)
    if (kvBlockSize !== null) counts.set(kvBlockSize, (counts.get(kvBlockSize) ?? 0) + 1);
  const sizes = [...counts].sort(([a, n], [b, m]) => m - n || a - b);
  const size = sizes[0]?.[0] ?? DEFAULT_BLOCK_SIZE;
  const others = sizes.slice(1).map(([other]) => other);
  const note = others.length === 0 ? '' : `; others use ${others.join(', ')} and say so in discovery`;
  const source = sizes.length === 0 ? 'no engine names its own' : 'that of its workers';
  return { size, reason: `KV block size ${size}: ${source}${note}` };
}

/** A wildcard address is for listening; probes and people on this machine use the loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
