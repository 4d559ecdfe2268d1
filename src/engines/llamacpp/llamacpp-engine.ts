import type { RecipeIssue } from '../../recipe/problem.ts';
import { UNNAMED_TOKENS } from '../chat-tokens.ts';
import type { Engine, EngineFindings } from '../engine.ts';
import { argValue, formatArgs, refuseArgs, refuseEnv } from '../engine-args.ts';
import { refuseSettings } from '../refuse-settings.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import { visibleGpus, WORKER_PORT_FROM } from '../worker-settings.ts';
import {
  LLAMACPP_FAILURES,
  LLAMACPP_METRICS,
  LLAMACPP_PHASES,
  LLAMACPP_RESERVED,
  LLAMACPP_RESERVED_ENV,
} from './facts.ts';

/**
 * Unmodified `llama-server`: aggregated workers on CPUs or GPUs. Its slots are its batch; it publishes no KV events and hands
 * no KV cache over. Written from the sources of August 2026; run with 0.7.0 (build 11669) on a CPU.
 */
export const llamacppEngine: Engine = {
  name: 'llamacpp',
  command: {
    name: 'llama-server',
    installHint: 'Install llama.cpp (`brew install llama.cpp`, or a release build), or set `command:` to llama-server.',
  },
  capabilities: {
    disaggregation: false,
    gpus: true,
    external: false,
    sharesGpu: false,
    oneHostOnly: 'llama.cpp spreads a model by rpc-server processes, which dynamo does not plan',
    survivesPeerRestart: true,
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 15 * 60_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 5_000, timeoutMs: 5_000, failures: 6 },
    drain: { inFlightMs: 30_000, killAfterMs: 10_000 },
  },
  stopping: 'llama-server cuts running requests on SIGTERM: they end before it is sent',
  check,
  checkPair: () => ({ problems: [], warnings: [] }),
  // What a GGUF file says is not read here.
  modelUse: () => ({
    ...{ shape: 'file', revision: undefined, maxLength: undefined, longerAllowed: true, overrides: {} },
    tensor: { ranks: 1, flag: '' },
    pipeline: { ranks: 1, flag: '' },
    ...{ ownTokenizer: false, ownWeights: false },
  }),
  combinations: [],
  // It is at home on CPUs, too: only GPUs that the recipe asks for are taken.
  defaultGpus: () => 0,
  ports: () => [{ purpose: 'http', from: WORKER_PORT_FROM, count: 1, moves: 'whenTaken' }],
  launch,
  readiness: (worker) => [
    // 503 while it loads; nothing listens at all while it downloads.
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
    { kind: 'generate', model: worker.servedModelName },
  ],
  kvTransfer: () => null,
  // It reuses the longest common prefix of a slot, token by token.
  kvBlockSize: () => null,
  failures: LLAMACPP_FAILURES,
  phases: LLAMACPP_PHASES,
  metrics: LLAMACPP_METRICS,
  chatTokens: UNNAMED_TOKENS,
  help: (argv) => {
    const at = argv.findIndex((word) => word === '--model' || word === '--hf-repo');
    const program = argv.slice(0, at);
    return { version: [...program, '--version'], help: [...program, '--help'], distribution: null, versions: null };
  },
};

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const cpu = !worker.gpus;
  const gpus = cpu ? { env: { CUDA_VISIBLE_DEVICES: '' }, reasons: [] } : visibleGpus(placement);
  const layers =
    argValue(worker.args, 'n-gpu-layers') !== undefined || argValue(worker.args, 'gpu-layers') !== undefined;
  const file = isFile(worker.model);
  return {
    argv: [
      ...(worker.command ?? ['llama-server']),
      ...[file ? '--model' : '--hf-repo', worker.model, '--alias', worker.servedModelName],
      ...['--host', placement.address, '--port', String(placement.ports['http'])],
      '--metrics',
      '--slots',
      ...(cpu && !layers ? ['--n-gpu-layers', '0'] : []),
      ...formatArgs(worker.args, { lists: 'commas' }),
    ],
    env: { ...gpus.env, ...worker.env },
    reasons: [
      ...gpus.reasons,
      file ? 'the model is a file' : 'the model is a hub id: it is downloaded before the port opens',
    ],
  };
}

const isFile = (model: string): boolean => model.startsWith('/') || /\.gguf$/i.test(model);

function check(worker: WorkerSettings): EngineFindings {
  const problems: RecipeIssue[] = [
    ...refuseArgs(worker.path, worker.args, LLAMACPP_RESERVED),
    ...refuseEnv(worker.path, worker.env, LLAMACPP_RESERVED_ENV),
    ...refuseSettings(worker, {
      kvEvents: 'llama-server publishes none; the router remembers what it sent where',
      kvOffload: 'use its own `cache-ram` (MiB of host memory for prompts) under `args`',
      load: 'llama-server has one loader',
    }),
  ];
  return { problems, warnings: [] };
}
