import { bracket } from '../../base/url-host.ts';
import type { Check } from '../../plan/launch-plan.ts';
import type { Engine, PortWish } from '../engine.ts';
import { formatArgs, withoutArgs } from '../engine-args.ts';
import { collectivesNetwork, kvTransferNetwork } from '../network-env.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import { KV_EVENTS_FROM, KV_REPLAY_FROM, visibleGpus, WORKER_PORT_FROM } from '../worker-settings.ts';
import { SGLANG_CHAT_TOKENS } from './chat-tokens.ts';
import { checkPair, checkWorker, SGLANG_COMBINATIONS } from './checks.ts';
import { SGLANG_FAILURES } from './failures.ts';
import { hierarchicalCache } from './hierarchical-cache.ts';
import { loading } from './loading.ts';
import { modelUse } from './model-use.ts';
import { SGLANG_METRICS, SGLANG_PHASES } from './startup.ts';
import { dataRanks, keepsPrefixes, onCpu, pageSize, parallelSize, transfers } from './worker-shape.ts';

/** SGLang's own default of the prefill worker's bootstrap server. */
const BOOTSTRAP_FROM = 8_998;
const BOOTSTRAP_FLAG = '--disaggregation-bootstrap-port';
const EVENTS_FLAG = '--kv-events-config';
/** The process group's store; with DP attention a further 13 ports above it. */
const DIST_INIT_FROM = 25_000;
const DIST_INIT_PORTS = 14;
const NCCL_FROM = 28_000;
/** How long one side waits for the other when `kvTransfer.lease` does not say; SGLang's own 300 s hide a dead peer. */
const DEFAULT_WAIT_SECONDS = 120;

/**
 * Unmodified `sglang serve`: aggregated, or prefill and decode with NIXL. Written from the sources of July 2026 (0.5.15);
 * nothing here was run on a GPU.
 */
export const sglangEngine: Engine = {
  name: 'sglang',
  command: {
    name: 'sglang',
    installHint:
      'Install it (`uv pip install sglang`, with `nixl` for prefill and decode workers), or set `command: [python3, -m, sglang.launch_server]`.',
  },
  capabilities: {
    disaggregation: true,
    gpus: true,
    external: false,
    sharesGpu: false,
    oneHostOnly: null,
    // A pair with one replaced side reports ready and then hangs (sglang#33789, smg#2503).
    survivesPeerRestart: false,
    // They would share a bootstrap room, and its lists of rooms are repeated for each.
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 15 * 60_000,
    // One failed check says little: it answers 503 while it retracts requests.
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 10_000, timeoutMs: 10_000, failures: 6 },
    drain: { inFlightMs: 30_000, killAfterMs: 20_000 },
  },
  stopping:
    'while it ends, SGLang still takes new requests and waits for running ones without a limit: it leaves discovery first, and SIGKILL follows',
  check: checkWorker,
  checkPair,
  modelUse,
  combinations: SGLANG_COMBINATIONS,
  defaultGpus: parallelSize,
  ports,
  launch,
  readiness,
  kvTransfer: (worker) => (transfers(worker) ? 'sglang-bootstrap' : null),
  kvBlockSize: pageSize,
  failures: SGLANG_FAILURES,
  phases: SGLANG_PHASES,
  metrics: SGLANG_METRICS,
  chatTokens: SGLANG_CHAT_TOKENS,
  help: (argv) => {
    const at = argv.indexOf('--model-path');
    const program = argv.slice(0, at);
    return {
      version: [...program.filter((word) => word !== 'serve'), '--version'],
      help: [...program, '--help'],
      distribution: 'sglang',
      versions: { oldest: null, newest: '0.5.18' },
    };
  },
};

function ports(worker: WorkerSettings): PortWish[] {
  const ranks = dataRanks(worker);
  return [
    { purpose: 'http', from: WORKER_PORT_FROM, count: 1, moves: 'whenTaken' },
    // The hosts of a worker meet at the leader. Followers answer on the HTTP port too, whatever their state.
    { purpose: 'distInit', from: DIST_INIT_FROM, count: DIST_INIT_PORTS, leaderOnly: true },
    { purpose: 'nccl', from: NCCL_FROM, count: 1 },
    ...(worker.role === 'prefill'
      ? [{ purpose: 'bootstrap', from: BOOTSTRAP_FROM, count: 1, leaderOnly: true, moves: 'whenTaken' } as const]
      : []),
    ...(worker.kvEvents && keepsPrefixes(worker)
      ? [
          { purpose: 'kvEvents', from: KV_EVENTS_FROM, count: ranks, moves: 'whenTaken' } as const,
          { purpose: 'kvReplay', from: KV_REPLAY_FROM, count: ranks, moves: 'whenTaken' } as const,
        ]
      : []),
  ];
}

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const parts = [
    server(worker, placement),
    handOver(worker, placement),
    events(worker, placement),
    hierarchicalCache(worker),
    loading(worker),
  ];
  return {
    // Its switches have no `--no-` form; a list is several values.
    argv: [
      ...parts.flatMap(({ argv }) => argv),
      ...formatArgs(withoutArgs(worker.args, ['page-size']), { lists: 'values', off: 'omit' }),
    ],
    env: { ...Object.assign({}, ...parts.map(({ env }) => env)), ...worker.env },
    reasons: parts.flatMap(({ reasons }) => reasons),
  };
}

/** `sglang serve`, or what the recipe names in its place: a module that is run directly takes no `serve`. */
function program({ command }: WorkerSettings): string[] {
  if (command === null) return ['sglang', 'serve'];
  return command.some((word) => word.includes('launch_server')) ? [...command] : [...command, 'serve'];
}

function server(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const { address, ports: given, node } = placement;
  const network = collectivesNetwork(worker, placement);
  const cpu = onCpu(worker);
  const gpus = cpu ? { env: { CUDA_VISIBLE_DEVICES: '' }, reasons: [] } : visibleGpus(placement);
  return {
    argv: [
      ...program(worker),
      ...['--model-path', worker.model, '--served-model-name', worker.servedModelName],
      ...['--host', address, '--port', String(given['http'])],
      ...(cpu ? ['--device', 'cpu'] : []),
      // Left alone it is 1 on NVIDIA GPUs: a KV event for every token, and nothing two engines would agree on.
      ...['--page-size', String(pageSize(worker))],
      ...['--dist-init-addr', `${bracket(node?.leaderAddress ?? address)}:${given['distInit']}`],
      ...['--nccl-port', String(given['nccl'])],
      // Every host runs the same command but for its rank; sizes are those of the whole worker.
      ...(node ? ['--nnodes', String(node.size), '--node-rank', String(node.rank)] : []),
      '--enable-metrics',
      // Without it cached tokens are never reported.
      '--enable-cache-report',
    ],
    env: {
      // Otherwise each health check generates a token and takes a second.
      SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: 'false',
      // It closes idle connections after 5 s by default, which races with a frontend's pool.
      SGLANG_TIMEOUT_KEEP_ALIVE: '75',
      SGLANG_WARMUP_TIMEOUT: String(Math.ceil(placement.startTimeoutMs / 1_000)),
      ...(node ? { SGLANG_HOST_IP: address } : {}),
      ...network.env,
      ...gpus.env,
    },
    reasons: [
      ...gpus.reasons,
      ...(node?.rank === 0
        ? [`leads ${node.size} hosts, which meet at ${node.leaderAddress}, port ${given['distInit']}`]
        : []),
      ...network.reasons,
      `pages of ${pageSize(worker)} tokens, the unit in which KV cache is kept and found again`,
    ],
  };
}

function handOver(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  if (!transfers(worker)) return { argv: [], env: {}, reasons: [] };
  const { address, ports: given } = placement;
  const network = kvTransferNetwork(worker, placement);
  const { lease } = worker.kvTransfer;
  const waitSeconds = String(lease === undefined ? DEFAULT_WAIT_SECONDS : Math.ceil(lease / 1_000));
  return {
    argv: [
      ...['--disaggregation-mode', worker.role],
      ...['--disaggregation-transfer-backend', 'nixl'],
      ...(worker.role === 'prefill' ? [BOOTSTRAP_FLAG, String(given['bootstrap'])] : []),
    ],
    env: {
      // The address its ranks register for their peers.
      SGLANG_HOST_IP: address,
      SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT: waitSeconds,
      SGLANG_DISAGGREGATION_WAITING_TIMEOUT: waitSeconds,
      ...network.env,
    },
    reasons: [
      'NIXL hands the KV cache over (SGLang itself would take mooncake)',
      ...network.reasons,
      `prefill and decode wait ${waitSeconds} s for each other before a request fails`,
      'after a restart of one side of a pair the other side must restart as well: SGLang does not find its way back',
    ],
  };
}

function events(worker: WorkerSettings, { ports: given }: WorkerPlacement): EngineLaunch {
  if (!worker.kvEvents) return { argv: [], env: {}, reasons: [] };
  if (!keepsPrefixes(worker))
    return {
      argv: [],
      env: {},
      reasons: ['publishes no KV events: an SGLang decode worker keeps no prefix cache to tell of'],
    };
  const config = {
    publisher: 'zmq',
    // Only a wildcard makes SGLang listen; with an address it would connect to it.
    endpoint: `tcp://*:${given['kvEvents']}`,
    replay_endpoint: `tcp://*:${given['kvReplay']}`,
  };
  return {
    argv: [EVENTS_FLAG, JSON.stringify(config)],
    env: {},
    reasons: [`publishes its KV events on port ${given['kvEvents']} of every address`],
  };
}

function readiness(worker: WorkerSettings): Check[] {
  const checks: Check[] = [
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
  ];
  if (worker.role === 'aggregated') checks.push({ kind: 'generate', model: worker.servedModelName });
  // 503 until every rank has registered: then decode workers can find it.
  if (worker.role === 'prefill')
    checks.push({
      kind: 'http',
      path: '/route?prefill_dp_rank=-1&prefill_cp_rank=-1&target_tp_rank=-1&target_pp_rank=-1',
      port: 'bootstrap',
    });
  return checks;
}
