import { bracket } from '../../base/url-host.ts';
import type { Check } from '../../plan/launch-plan.ts';
import type { RecipeIssue } from '../../recipe/problem.ts';
import type { EngineArgValue } from '../../recipe/recipe.ts';
import { didYouMean } from '../../yaml/nearest.ts';
import { VLLM_CHAT_TOKENS } from '../chat-tokens.ts';
import { NAMED_PORT } from '../common-failures.ts';
import type { Engine } from '../engine.ts';
import { argNumber, flagName, formatArgs, refuseArgs, refuseEnv } from '../engine-args.ts';
import { refuseSettings } from '../refuse-settings.ts';
import { VLLM_METRICS, VLLM_PHASES } from '../vllm/startup.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import {
  KEEP_ALIVE,
  KEEP_ALIVE_SECONDS,
  KV_EVENTS_FROM,
  KV_REPLAY_FROM,
  SIDE_CHANNEL_FROM,
  SIDE_CHANNEL_HOST,
  SIDE_CHANNEL_PORT,
  WORKER_PORT_FROM,
} from '../worker-settings.ts';
import { MOCKER_FLAGS, MOCKER_RESERVED, type MockerFlagKind } from './mocker-flags.ts';

const DEFAULT_BLOCK_SIZE = 64;
/** vLLM's, too. */
const MASTER_FROM = 29_501;
const EVENTS_FLAG = '--kv-events-config';
const MODE = { aggregated: 'agg', prefill: 'prefill', decode: 'decode' } as const;

const RESERVED_ENV = {
  [SIDE_CHANNEL_HOST]: 'the plan sets it',
  [SIDE_CHANNEL_PORT]: 'the plan assigns it',
};

/** The built-in simulated engine, `dynamo mocker`: vLLM's HTTP surface, no weights, no GPU. */
export const mockerEngine: Engine = {
  name: 'mocker',
  command: null,
  capabilities: {
    disaggregation: true,
    gpus: false,
    external: false,
    sharesGpu: false,
    oneHostOnly: null,
    survivesPeerRestart: true,
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 30_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 5_000, timeoutMs: 5_000, failures: 3 },
    drain: { inFlightMs: 30_000, killAfterMs: 10_000 },
  },
  stopping: null,
  check: (worker) => ({
    problems: [
      ...refuseSettings(worker, {
        kvOffload: 'the simulated engine has one memory tier',
        load: 'the simulated engine has no weights',
      }),
      ...refuseArgs(worker.path, worker.args, MOCKER_RESERVED),
      ...refuseEnv(worker.path, worker.env, RESERVED_ENV),
      ...checkFlags(worker),
    ],
    warnings: [],
  }),
  checkPair: () => ({ problems: [], warnings: [] }),
  modelUse: () => null,
  combinations: [],
  defaultGpus: () => 0,
  ports: (worker) => [
    { purpose: 'http', from: WORKER_PORT_FROM, count: 1, leaderOnly: true, moves: 'whenTaken' },
    ...(transfers(worker)
      ? [
          {
            purpose: 'sideChannel',
            from: SIDE_CHANNEL_FROM,
            count: 1,
            leaderOnly: true,
            moves: 'always',
          } as const,
        ]
      : []),
    ...(worker.kvEvents
      ? [
          { purpose: 'kvEvents', from: KV_EVENTS_FROM, count: 1, leaderOnly: true, moves: 'whenTaken' } as const,
          { purpose: 'kvReplay', from: KV_REPLAY_FROM, count: 1, leaderOnly: true, moves: 'whenTaken' } as const,
        ]
      : []),
    ...(worker.nodes > 1 ? [{ purpose: 'master', from: MASTER_FROM, count: 1, leaderOnly: true as const }] : []),
  ],
  launch,
  readiness: (worker): Check[] => [
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
    { kind: 'generate', model: worker.servedModelName },
  ],
  kvTransfer: (worker) => (transfers(worker) ? 'vllm-nixl' : null),
  kvBlockSize: blockSize,
  failures: [
    {
      pattern: /EADDRINUSE|address already in use/,
      code: 'PORT_IN_USE',
      cause: 'its port was taken between planning and starting',
      fix: 'Start again, or free the port.',
      port: NAMED_PORT,
    },
  ],
  // It speaks vLLM's words and names.
  phases: VLLM_PHASES,
  metrics: VLLM_METRICS,
  chatTokens: VLLM_CHAT_TOKENS,
  help: () => null,
};

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const argv = [
    ...(worker.command ?? placement.selfCommand),
    'mocker',
    ...['--model-name', worker.servedModelName],
    ...['--http-host', placement.address, '--http-port', String(placement.ports['http'])],
    ...['--disaggregation-mode', MODE[worker.role]],
    ...['--block-size', String(blockSize(worker))],
    ...(transfers(worker) ? transferArgs(worker) : []),
    ...(placement.ports['kvEvents'] === undefined ? [] : eventArgs(placement)),
    ...nodeArgs(placement),
    ...formatArgs(otherArgs(worker.args), { lists: 'repeat' }),
  ];
  const sideChannel = transfers(worker)
    ? { [SIDE_CHANNEL_HOST]: placement.address, [SIDE_CHANNEL_PORT]: String(placement.ports['sideChannel']) }
    : {};
  return { argv, env: { [KEEP_ALIVE]: KEEP_ALIVE_SECONDS, ...sideChannel, ...worker.env }, reasons: [] };
}

function nodeArgs({ node, ports }: WorkerPlacement): string[] {
  if (!node) return [];
  return [
    ...['--nnodes', String(node.size), '--node-rank', String(node.rank)],
    ...['--master-addr', node.leaderAddress, '--master-port', String(ports['master'])],
  ];
}

function transferArgs({ role, kvTransfer }: WorkerSettings): string[] {
  const { lease, loadFailurePolicy } = kvTransfer;
  return [
    ...(lease === undefined ? [] : ['--kv-lease-duration', String(lease / 1_000)]),
    ...(role === 'decode' ? ['--kv-load-failure-policy', loadFailurePolicy] : []),
  ];
}

/** As vLLM's, but on the worker's own address: the simulated engine can listen on a single one. */
function eventArgs({ address, ports }: WorkerPlacement): string[] {
  const config = {
    enable_kv_cache_events: true,
    endpoint: `tcp://${bracket(address)}:${ports['kvEvents']}`,
    replay_endpoint: `tcp://${bracket(address)}:${ports['kvReplay']}`,
  };
  return [EVENTS_FLAG, JSON.stringify(config)];
}

const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';

function blockSize(worker: WorkerSettings): number {
  return argNumber(worker.args, 'block-size', DEFAULT_BLOCK_SIZE);
}

/** Without what is written anyway, or goes without saying: the block size, switches that are on, opt-ins that are off. */
function otherArgs(args: WorkerSettings['args']): WorkerSettings['args'] {
  const others = Object.entries(args).filter(([name, value]) => {
    const flag = flagName(name);
    const kind = MOCKER_FLAGS[flag];
    return flag !== 'block-size' && !(kind === 'switch' && value === true) && !(kind === 'opt-in' && value === false);
  });
  return Object.fromEntries(others);
}

function checkFlags(worker: WorkerSettings): RecipeIssue[] {
  const known = Object.keys(MOCKER_FLAGS);
  return Object.entries(worker.args).flatMap(([name, value]): RecipeIssue[] => {
    const flag = flagName(name);
    const path = [...worker.path, 'args', name];
    if (Object.hasOwn(MOCKER_RESERVED, flag) || value === null) return [];
    const kind = MOCKER_FLAGS[flag];
    if (kind === undefined || !Object.hasOwn(MOCKER_FLAGS, flag)) {
      const guess = didYouMean(flag, known) || `; known are ${known.join(', ')}`;
      return [{ path, message: `the mocker has no flag \`${name}\`${guess}`, atKey: true }];
    }
    const wanted = misfit(kind, value);
    return wanted === undefined ? [] : [{ path, message: `expected ${wanted}` }];
  });
}

/** What the flag takes, if `value` is not that. */
function misfit(kind: MockerFlagKind, value: EngineArgValue): string | undefined {
  if (kind === 'texts') {
    const items = Array.isArray(value) ? value : [value];
    return items.every((item) => typeof item === 'string') ? undefined : 'text, or a list of texts';
  }
  if (kind === 'switch' || kind === 'opt-in') return typeof value === 'boolean' ? undefined : 'true or false';
  if (kind === 'number') return typeof value === 'number' && value >= 0 ? undefined : 'a number of at least 0';
  if (kind === 'above-zero') return typeof value === 'number' && value > 0 ? undefined : 'a number above 0';
  const least = kind === 'count' ? 1 : 0;
  return Number.isSafeInteger(value) && Number(value) >= least ? undefined : `a whole number of at least ${least}`;
}
