import type { Check } from '../../plan/launch-plan.ts';
import { didYouMean } from '../../recipe/nearest.ts';
import type { RecipeIssue } from '../../recipe/problem.ts';
import type { EngineArgValue } from '../../recipe/recipe.ts';
import type { Engine, EngineLaunch, WorkerPlacement, WorkerSettings } from '../engine.ts';
import { argNumber, flagName, formatArgs, refuseArgs, refuseEnv } from '../engine-args.ts';
import { SIDE_CHANNEL_FROM, SIDE_CHANNEL_HOST, SIDE_CHANNEL_PORT, WORKER_PORT_FROM } from '../worker-ports.ts';
import { MOCKER_FLAGS, MOCKER_RESERVED, type MockerFlagKind } from './mocker-flags.ts';

const DEFAULT_BLOCK_SIZE = 64;
const MODE = { aggregated: 'agg', prefill: 'prefill', decode: 'decode' } as const;

const RESERVED_ENV = {
  [SIDE_CHANNEL_HOST]: 'the plan sets it',
  [SIDE_CHANNEL_PORT]: 'the plan assigns it',
};

/** The built-in simulated engine, `dynamo mocker`: vLLM's HTTP surface, no weights, no GPU. */
export const mockerEngine: Engine = {
  name: 'mocker',
  command: null,
  capabilities: { disaggregation: true, gpus: false },
  defaults: {
    startTimeoutMs: 30_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 5_000, timeoutMs: 5_000, failures: 3 },
    drain: { inFlightMs: 30_000, killAfterMs: 10_000 },
  },
  check: (worker) => ({
    problems: [
      ...refuseArgs(worker.path, worker.args, MOCKER_RESERVED),
      ...refuseEnv(worker.path, worker.env, RESERVED_ENV),
      ...checkFlags(worker),
    ],
    warnings: [],
  }),
  defaultGpus: () => 0,
  ports: (worker) => [
    { purpose: 'http', from: WORKER_PORT_FROM, count: 1 },
    ...(transfers(worker) ? [{ purpose: 'sideChannel', from: SIDE_CHANNEL_FROM, count: 1 }] : []),
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
      pattern: /EADDRINUSE/,
      code: 'PORT_IN_USE',
      cause: 'its port was taken between planning and starting',
      fix: 'Start again, or free the port.',
    },
  ],
};

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const prefix = worker.command ?? placement.selfCommand;
  const lease = worker.kvTransfer.lease;
  const argv = [
    ...prefix,
    'mocker',
    '--model-name',
    worker.servedModelName,
    '--http-host',
    placement.address,
    '--http-port',
    String(placement.ports['http']),
    '--disaggregation-mode',
    MODE[worker.role],
    '--block-size',
    String(blockSize(worker)),
    ...(transfers(worker) && lease !== undefined ? ['--kv-lease-duration', String(lease / 1_000)] : []),
    ...formatArgs(withoutBlockSize(worker.args), { lists: 'repeat' }),
  ];
  if (!transfers(worker)) return { argv, env: { ...worker.env }, reasons: [] };
  const sideChannel = {
    [SIDE_CHANNEL_HOST]: placement.address,
    [SIDE_CHANNEL_PORT]: String(placement.ports['sideChannel']),
  };
  return { argv, env: { ...sideChannel, ...worker.env }, reasons: [] };
}

const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';

function blockSize(worker: WorkerSettings): number {
  return argNumber(worker.args, 'block-size', DEFAULT_BLOCK_SIZE);
}

function withoutBlockSize(args: WorkerSettings['args']): WorkerSettings['args'] {
  return Object.fromEntries(Object.entries(args).filter(([name]) => flagName(name) !== 'block-size'));
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
  if (kind === 'number') return typeof value === 'number' && value >= 0 ? undefined : 'a number of at least 0';
  const least = kind === 'positive' ? 1 : 0;
  return Number.isSafeInteger(value) && Number(value) >= least ? undefined : `a whole number of at least ${least}`;
}
