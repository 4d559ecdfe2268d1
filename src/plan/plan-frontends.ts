import { DynamoError } from '../base/errors.ts';
import { bracket, isLoopback, isWildcard } from '../base/url-host.ts';
import { DEFAULT_KV_LEASE_MS } from '../engines/vllm/kv-transfer.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { explainPort } from './explain-port.ts';
import type { DiscoverySpec, DrainSpec, LivenessSpec, ProcessSpec } from './launch-plan.ts';
import { discoveryArgs, discoveryEnv, discoveryFiles } from './plan-discovery.ts';
import { formatLabels, hasLabels, type PlanHost } from './plan-hosts.ts';
import { drainOf, livenessOf, restartOf } from './process-policies.ts';

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
  workers: readonly ProcessSpec[];
  /** The deployment is on several hosts: whoever is on another one must reach the frontend too. */
  severalHosts: boolean;
}

/**
 * `frontend`, or `frontend-0`, `frontend-1`, … when there are several: all on the first host, or spread over those with the labels
 * that the recipe names. Throws `RECIPE_INVALID` when no host has them, or when frontends could not be reached from other hosts.
 */
export function planFrontends(recipe: Recipe, hosts: readonly PlanHost[], context: FrontendContext): ProcessSpec[] {
  const blocks = blockSizeFor(context.workers);
  const { placement, replicas, host } = recipe.frontend;
  const suitable = placement === undefined ? hosts.slice(0, 1) : hosts.filter((each) => hasLabels(each, placement));
  if (suitable.length === 0) throw invalid(`frontend.placement: no host has ${formatLabels(placement ?? {})}`);
  if (context.severalHosts && host !== undefined && isLoopback(host))
    throw invalid(`frontend.host: ${host} cannot be reached from the other hosts of the deployment; leave it out`);
  return Array.from({ length: replicas }, (_, replica) =>
    planFrontend(recipe, suitable[replica % suitable.length]!, { ...context, hosts: hosts.length, blocks, replica }),
  );
}

const invalid = (problem: string): DynamoError =>
  new DynamoError('RECIPE_INVALID', 'the frontends cannot be placed', { details: [problem] });

function planFrontend(
  recipe: Recipe,
  host: PlanHost,
  context: FrontendContext & { hosts: number; blocks: { size: number; reason: string }; replica: number },
): ProcessSpec {
  const { frontend } = recipe;
  const { blocks, replica } = context;
  const name = frontend.replicas === 1 ? 'frontend' : `frontend-${replica}`;
  const fixed = typeof frontend.port === 'number';
  const port = typeof frontend.port === 'number' ? frontend.port + replica : host.ports.take(FRONTEND_PORT_FROM);
  const portReason = fixed
    ? `HTTP port ${port}: the recipe says so`
    : explainPort('http', port, FRONTEND_PORT_FROM, host.ports.skipped());
  const listenOn = frontend.host ?? host.facts.address;
  const drain = drainOf(frontend.drain, DRAIN);
  const sentFiles = discoveryFiles(context.discovery);
  return {
    name,
    role: 'frontend',
    host: host.name,
    model: null,
    engine: null,
    argv: [
      ...host.selfCommand,
      'frontend',
      ...['--http-host', listenOn, '--http-port', String(port)],
      ...['--deployment', context.deployment, '--process-name', name],
      ...discoveryArgs(context.discovery, host.discoveryRoot),
      ...routerArgs(recipe, blocks.size),
      ...(frontend.requestTimeout === undefined
        ? []
        : ['--request-timeout-secs', String(frontend.requestTimeout / 1_000)]),
      ...['--body-limit-mb', String(Math.max(1, Math.round(frontend.bodyLimit / 1024 ** 2)))],
      ...['--drain-timeout-secs', String(drain.inFlightMs / 1_000)],
      ...leaseArgs(recipe, context.workers),
      ...(frontend.seed === undefined ? [] : ['--seed', String(frontend.seed + replica)]),
    ],
    env: { ...discoveryEnv(context.discovery), ...host.env, ...frontend.env },
    ...(sentFiles.length === 0 ? {} : { sentFiles }),
    cwd: null,
    ports: { http: port },
    fixedPorts: fixed ? ['http'] : [],
    gpus: [],
    url: `http://${bracket(isWildcard(listenOn) ? anyAddressOf(host, listenOn, context.severalHosts) : listenOn)}:${port}`,
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
      explainHost(recipe, host, context.hosts),
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

/**
 * The shortest lease of its models that hand over on a lease, vLLM's own counted for a model that names none: a frontend must not
 * send leg 2 when it is nearly over. SGLang's and TensorRT-LLM's waits end in an error, so that frontends need not know them.
 */
function leaseArgs({ models }: Recipe, workers: readonly ProcessSpec[]): string[] {
  const onLease = models.filter(({ servedModelName }) =>
    workers.some((worker) => worker.model === servedModelName && worker.kvTransfer === 'vllm-nixl'),
  );
  if (onLease.every(({ kvTransfer }) => kvTransfer.lease === undefined)) return [];
  const leases = onLease.map(({ kvTransfer }) => kvTransfer.lease ?? DEFAULT_KV_LEASE_MS);
  return ['--kv-lease-secs', String(Math.min(...leases) / 1_000)];
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

/** A wildcard address is for listening; who connects needs one of the host's. */
function anyAddressOf({ facts }: PlanHost, wildcard: string, severalHosts: boolean): string {
  if (severalHosts) return facts.address;
  return wildcard === '::' ? '::1' : '127.0.0.1';
}

function explainHost({ frontend }: Recipe, { name }: PlanHost, hosts: number): string {
  if (hosts === 1) return `runs on ${name}, the only host`;
  const { placement } = frontend;
  if (placement === undefined) return `runs on ${name}, the first host`;
  const labels = formatLabels(placement);
  return `runs on ${name}: frontends are spread over the hosts${labels === '' ? '' : ` with ${labels}`}`;
}
