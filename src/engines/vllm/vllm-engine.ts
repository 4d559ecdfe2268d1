import type { Check } from '../../plan/launch-plan.ts';
import { VLLM_CHAT_TOKENS } from '../chat-tokens.ts';
import type { Engine, PortWish } from '../engine.ts';
import { argValue, formatArgs, withoutArgs } from '../engine-args.ts';
import type { KnownVersions } from '../engine-version.ts';
import { hasStateSpace } from '../model/model-traits.ts';
import { kvTransferNetwork } from '../network-env.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import {
  KEEP_ALIVE,
  KEEP_ALIVE_SECONDS,
  KV_EVENTS_FROM,
  KV_REPLAY_FROM,
  SIDE_CHANNEL_FROM,
  SIDE_CHANNEL_HOST,
  SIDE_CHANNEL_PORT,
  visibleGpus,
  WORKER_PORT_FROM,
} from '../worker-settings.ts';
import { acrossHosts, isFollower } from './across-hosts.ts';
import { checkWorker } from './checks.ts';
import { checkPair, VLLM_COMBINATIONS } from './combinations.ts';
import { chooseConnectors } from './connectors.ts';
import { VLLM_FAILURES } from './failures.ts';
import { modelUse } from './model-use.ts';
import { explainScaleOut } from './scale-out.ts';
import { VLLM_METRICS, VLLM_PHASES } from './startup.ts';
import { blockSize, dataRanks, MEMORY_SHARE, onCpu, parallelSize, transfers } from './worker-shape.ts';

/** torch.distributed's stores search upward from VLLM_PORT; instances on a host must not search in each other's range. */
const INTERNAL_PORTS_FROM = 20_000;
const INTERNAL_PORTS = 100;
/** vLLM's own defaults of the two ports by which data-parallel ranks find each other. */
const DATA_PARALLEL_FROM = 29_500;
/** vLLM's own default of `--master-port`: where the hosts of one tensor- or pipeline-parallel worker meet. */
const MASTER_FROM = 29_501;
const EVENTS_FLAG = '--kv-events-config';
/** SIGKILL follows this long after vLLM has stopped waiting for its requests. */
const SHUTDOWN_MARGIN_MS = 5_000;

const VERSIONS: KnownVersions = {
  oldest: { version: '0.22.0', because: 'the leases by which prefill workers keep KV blocks' },
  newest: '0.32.0',
};

/**
 * Unmodified `vllm serve`: aggregated, or prefill and decode with the NIXL connector in pull mode. Written for 0.22 to 0.29,
 * from its sources; what 0.32 does on a CPU was measured.
 */
export const vllmEngine: Engine = {
  name: 'vllm',
  command: {
    name: 'vllm',
    installHint:
      'Install it (`uv pip install vllm`, with `nixl` for prefill and decode workers), or set `command:` to its path.',
  },
  capabilities: {
    disaggregation: true,
    gpus: true,
    external: false,
    sharesGpu: true,
    oneHostOnly: null,
    // A decode worker was seen to take a restarted prefill worker's blocks after one failed try (0.32, UCX over TCP).
    survivesPeerRestart: true,
    // It leaks the prefill worker's KV blocks (vllm-project/vllm#43509).
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 15 * 60_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 10_000, timeoutMs: 10_000, failures: 6 },
    // An idle server is gone in 2 s; one with an open stream was seen to hang, so SIGKILL must follow.
    drain: { inFlightMs: 30_000, killAfterMs: 20_000 },
  },
  stopping:
    'while it ends, vLLM answers new requests with 200 and no text and may hang on an open stream: it leaves discovery first, and SIGKILL follows',
  check: checkWorker,
  checkPair,
  modelUse,
  combinations: VLLM_COMBINATIONS,
  defaultGpus: parallelSize,
  ports,
  launch,
  readiness,
  kvTransfer: (worker) => (transfers(worker) ? 'vllm-nixl' : null),
  kvBlockSize: blockSize,
  failures: VLLM_FAILURES,
  phases: VLLM_PHASES,
  metrics: VLLM_METRICS,
  chatTokens: VLLM_CHAT_TOKENS,
  help: (argv) => {
    const program = argv.slice(0, argv.indexOf('serve'));
    return {
      version: [...program, '--version'],
      help: [...program, 'serve', '--help=all'],
      distribution: 'vllm',
      versions: VERSIONS,
    };
  },
};

function ports(worker: WorkerSettings): PortWish[] {
  const ranks = dataRanks(worker);
  const wishes: PortWish[] = [
    // Followers have no server.
    { purpose: 'http', from: WORKER_PORT_FROM, count: 1, leaderOnly: true, moves: 'whenTaken' },
    { purpose: 'internal', from: INTERNAL_PORTS_FROM, count: INTERNAL_PORTS },
  ];
  // One listener per data-parallel rank, at the base port plus the rank, on the rank's host; the same for events and their replay.
  const perRank = (purpose: string, from: number): PortWish => ({
    ...{ purpose, from, count: ranks },
    ...(ranks > 1 ? {} : { leaderOnly: true }),
  });
  // A decode worker may still hold what it knows of the worker that was there before.
  if (transfers(worker)) wishes.push({ ...perRank('sideChannel', SIDE_CHANNEL_FROM), moves: 'always' });
  if (worker.kvEvents)
    for (const [purpose, from] of [
      ['kvEvents', KV_EVENTS_FROM],
      ['kvReplay', KV_REPLAY_FROM],
    ] as const)
      wishes.push({ ...perRank(purpose, from), moves: 'whenTaken' });
  if (ranks > 1)
    wishes.push(
      { purpose: 'dataParallelMaster', from: DATA_PARALLEL_FROM, count: 1, leaderOnly: true },
      { purpose: 'dataParallelRpc', from: DATA_PARALLEL_FROM, count: 1, leaderOnly: true },
    );
  else if (worker.nodes > 1) wishes.push({ purpose: 'master', from: MASTER_FROM, count: 1, leaderOnly: true });
  return wishes;
}

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const parts = [
    server(worker, placement),
    acrossHosts(worker, placement),
    gpus(worker, placement),
    handOver(worker, placement),
    events(worker, placement),
    loading(worker),
  ];
  // A follower has no API server to count.
  const args = isFollower(placement) ? withoutArgs(worker.args, ['api-server-count']) : worker.args;
  return {
    argv: [...parts.flatMap(({ argv }) => argv), ...formatArgs(args, { lists: 'values' })],
    env: { ...Object.assign({}, ...parts.map(({ env }) => env)), ...worker.env },
    reasons: parts.flatMap(({ reasons }) => reasons),
  };
}

function server(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const { killAfterMs } = placement.drain;
  const shutdownSeconds = Math.floor(Math.max(0, killAfterMs - SHUTDOWN_MARGIN_MS) / 1_000);
  const ranked = dataRanks(worker) > 1;
  return {
    argv: [
      ...(worker.command ?? ['vllm']),
      ...['serve', worker.model, '--served-model-name', worker.servedModelName],
      ...(isFollower(placement)
        ? ['--headless']
        : [
            ...['--host', placement.address, '--port', String(placement.ports['http'])],
            // The only per-request truth about cached tokens.
            '--enable-prompt-tokens-details',
          ]),
      ...['--shutdown-timeout', String(shutdownSeconds)],
      ...(ranked ? ['--data-parallel-rpc-port', String(placement.ports['dataParallelRpc'])] : []),
    ],
    env: {
      [KEEP_ALIVE]: KEEP_ALIVE_SECONDS,
      VLLM_ENGINE_READY_TIMEOUT_S: String(Math.ceil(placement.startTimeoutMs / 1_000)),
      VLLM_PORT: String(placement.ports['internal']),
      // Followers are told by the leader.
      ...(ranked && !isFollower(placement)
        ? { VLLM_DP_MASTER_PORT: String(placement.ports['dataParallelMaster']) }
        : {}),
    },
    reasons: [
      `after SIGTERM requests have ${shutdownSeconds} s to end; SIGKILL comes ${killAfterMs / 1_000} s after SIGTERM`,
      ...explainScaleOut(worker, placement),
    ],
  };
}

function gpus(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  if (onCpu(worker)) return { argv: [], env: { CUDA_VISIBLE_DEVICES: '' }, reasons: [] };
  const { env, reasons } = visibleGpus(placement);
  const limited = [...MEMORY_SHARE, 'kv-cache-memory-bytes'].some((flag) => argValue(worker.args, flag) !== undefined);
  if (worker.workersPerGpu === 1 || limited) return { argv: [], env, reasons };
  // The share is of the whole GPU, whoever else uses it.
  const share = String(Math.floor(90 / worker.workersPerGpu) / 100);
  return {
    argv: ['--gpu-memory-utilization', share],
    env,
    reasons: [...reasons, `${share} of the GPU's memory, as ${worker.workersPerGpu} workers share it`],
  };
}

function handOver(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const { config, env, reasons } = chooseConnectors(worker);
  const argv = config ? ['--kv-transfer-config', JSON.stringify(config)] : [];
  if (!transfers(worker)) return { argv, env, reasons };
  const network = kvTransferNetwork(worker, placement);
  return {
    argv,
    env: {
      ...env,
      // The only layout of convolution states that NIXL can move.
      ...(hasStateSpace(worker) ? { VLLM_SSM_CONV_STATE_LAYOUT: 'DS' } : {}),
      [SIDE_CHANNEL_HOST]: placement.address,
      [SIDE_CHANNEL_PORT]: String(placement.ports['sideChannel']),
      ...network.env,
    },
    reasons: [
      ...reasons,
      ...network.reasons,
      explainUcx({ ...worker, env: { ...network.env, ...worker.env } }, placement),
    ],
  };
}

function explainUcx(worker: WorkerSettings, { peerHosts, network }: WorkerPlacement): string {
  const set = ['UCX_TLS', 'UCX_NET_DEVICES'].flatMap((name) => {
    const value = worker.env[name];
    return typeof value === 'string' ? [`${name}=${value}`] : [];
  });
  if (set.length > 0)
    return `${set.join(', ')} ${set.length === 1 ? 'is' : 'are'} set: UCX is what NIXL moves blocks with, NCCL_* do not matter to it`;
  const nearest = network?.nearest.length ? `; nearest to its GPUs: ${network.nearest.join(', ')}` : '';
  if (peerHosts.length > 0 && !onCpu(worker))
    return `UCX chooses how blocks travel to and from ${peerHosts.join(', ')} (RDMA where it finds a device, else TCP): UCX_TLS and UCX_NET_DEVICES are not set${nearest}`;
  return onCpu(worker)
    ? 'UCX chooses shared memory or TCP itself: UCX_TLS and UCX_NET_DEVICES are not set'
    : 'UCX chooses how blocks travel (NVLink by cuda_ipc within a host): UCX_TLS and UCX_NET_DEVICES are not set';
}

function events(worker: WorkerSettings, { ports: given }: WorkerPlacement): EngineLaunch {
  if (!worker.kvEvents) return { argv: [], env: {}, reasons: [] };
  const config = {
    enable_kv_cache_events: true,
    publisher: 'zmq',
    // Only a wildcard makes vLLM listen; with an address it would connect to it.
    endpoint: `tcp://*:${given['kvEvents']}`,
    replay_endpoint: `tcp://*:${given['kvReplay']}`,
  };
  return {
    argv: [EVENTS_FLAG, JSON.stringify(config)],
    env: {},
    reasons: [
      `publishes its KV events on port ${given['kvEvents']} of every address: vLLM can listen on no single one`,
    ],
  };
}

function loading({ load }: WorkerSettings): EngineLaunch {
  if (!load) return { argv: [], env: {}, reasons: [] };
  const { loader, settings, compileCache } = load;
  return {
    argv: [
      ...(loader === 'default' ? [] : ['--load-format', loader]),
      ...(Object.keys(settings).length === 0 ? [] : ['--model-loader-extra-config', JSON.stringify(settings)]),
    ],
    env: compileCache === undefined ? {} : { VLLM_CACHE_ROOT: compileCache },
    reasons: compileCache === undefined ? [] : [`compiled graphs are kept in ${compileCache} for the next start`],
  };
}

function readiness(worker: WorkerSettings): Check[] {
  const checks: Check[] = [
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
  ];
  if (worker.role === 'aggregated') checks.push({ kind: 'generate', model: worker.servedModelName });
  // The listener's thread dies silently when its port is taken; only a connection shows that it listens.
  if (worker.role === 'prefill') checks.push({ kind: 'tcp', port: 'sideChannel' });
  return checks;
}
