import type { Check } from '../../plan/launch-plan.ts';
import type { RecipeIssue } from '../../recipe/problem.ts';
import { UNNAMED_TOKENS } from '../chat-tokens.ts';
import type { Engine, EngineFindings } from '../engine.ts';
import { argNumber, argValue, formatArgs, refuseArgs, refuseEnv, withoutArgs } from '../engine-args.ts';
import { lengthOf, textOf, writtenFlag } from '../model/written-use.ts';
import { kvTransferNetwork } from '../network-env.ts';
import { refuseSettings } from '../refuse-settings.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import { visibleGpus, WORKER_PORT_FROM } from '../worker-settings.ts';
import { TRTLLM_FAILURES, TRTLLM_METRICS, TRTLLM_PHASES, TRTLLM_RESERVED, TRTLLM_RESERVED_ENV } from './facts.ts';

/** Each size has two names. */
const TENSOR_FLAGS = ['tp-size', 'tensor-parallel-size'];
const PIPELINE_FLAGS = ['pp-size', 'pipeline-parallel-size'];
const CONTEXT_FLAGS = ['cp-size', 'context-parallel-size'];

/** What `trtllm-serve` reads beside its flags. */
const OPTIONS_FLAG = 'extra-llm-api-options';
const OPTIONS_FILE = 'llm-api-options.json';
const DEFAULT_BLOCK_SIZE = 32;
/** Finished requests whose timings the server keeps until somebody reads them. */
const PERF_METRICS_REQUESTS = 1_000;

/**
 * Unmodified `trtllm-serve`: aggregated, or context and generation workers (context first). A worker's role comes with each
 * request, so both run the same command. Written from sources of several versions; nothing here was run on a GPU.
 */
export const trtllmEngine: Engine = {
  name: 'trtllm',
  command: {
    name: 'trtllm-serve',
    installHint: 'Install TensorRT-LLM (`pip install tensorrt_llm`, or its container), or set `command:` to its path.',
  },
  capabilities: {
    disaggregation: true,
    gpus: true,
    external: false,
    sharesGpu: false,
    oneHostOnly:
      'TensorRT-LLM needs MPI for that (`mpirun trtllm-llmapi-launch`), which dynamo does not drive; use more workers, or vllm or sglang',
    survivesPeerRestart: false,
    // One prompt and one answer a request.
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 15 * 60_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 10_000, timeoutMs: 10_000, failures: 6 },
    drain: { inFlightMs: 30_000, killAfterMs: 20_000 },
  },
  stopping: 'TensorRT-LLM is not known to finish requests on SIGTERM: they end before it is sent',
  check,
  checkPair,
  // `model` may also be an engine that was built before, with another config.json.
  modelUse: ({ args }) => ({
    ...{ shape: null, revision: textOf(args, 'revision'), longerAllowed: false, overrides: {} },
    tensor: { ranks: argNumber(args, TENSOR_FLAGS, 1), flag: writtenFlag(args, ...TENSOR_FLAGS) },
    pipeline: { ranks: argNumber(args, PIPELINE_FLAGS, 1), flag: writtenFlag(args, ...PIPELINE_FLAGS) },
    maxLength: lengthOf(args, 'max-seq-len'),
    ownTokenizer: argValue(args, 'tokenizer') === undefined,
    ownWeights: false,
  }),
  combinations: [],
  defaultGpus: parallelSize,
  ports: () => [{ purpose: 'http', from: WORKER_PORT_FROM, count: 1, moves: 'whenTaken' }],
  launch,
  readiness,
  kvTransfer: (worker) => (transfers(worker) ? 'trtllm-context-first' : null),
  kvBlockSize,
  failures: TRTLLM_FAILURES,
  phases: TRTLLM_PHASES,
  metrics: TRTLLM_METRICS,
  chatTokens: UNNAMED_TOKENS,
  help: (argv) => {
    const program = argv.slice(0, argv.indexOf('serve'));
    return {
      version: [...program, '--version'],
      help: [...program, 'serve', '--help'],
      distribution: 'tensorrt_llm',
      versions: null,
    };
  },
};

const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';

function parallelSize({ args }: WorkerSettings): number {
  return argNumber(args, TENSOR_FLAGS, 1) * argNumber(args, PIPELINE_FLAGS, 1) * argNumber(args, CONTEXT_FLAGS, 1);
}

/** The user's options with what dynamo needs: block reuse, and a transceiver for the hand-over. */
function options(worker: WorkerSettings): Record<string, unknown> {
  const written = argValue(worker.args, OPTIONS_FLAG);
  const own = isMap(written) ? written : {};
  if (!transfers(worker)) return own;
  const transceiver = isMap(own['cache_transceiver_config']) ? own['cache_transceiver_config'] : {};
  const { lease } = worker.kvTransfer;
  return {
    // What the proof of a pair reads: how much KV cache each request has received, and when.
    perf_metrics_max_requests: PERF_METRICS_REQUESTS,
    ...own,
    return_perf_metrics: true,
    // The overlap scheduler cannot run where a request ends after its first token.
    ...(worker.role === 'prefill' ? { disable_overlap_scheduler: true } : {}),
    cache_transceiver_config: {
      backend: 'NIXL',
      ...(lease === undefined ? {} : { kv_transfer_timeout_ms: lease }),
      ...transceiver,
    },
  };
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function kvBlockSize(worker: WorkerSettings): number {
  const config = options(worker)['kv_cache_config'];
  const written = isMap(config) ? config['tokens_per_block'] : undefined;
  return typeof written === 'number' && Number.isInteger(written) && written > 0 ? written : DEFAULT_BLOCK_SIZE;
}

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const config = options(worker);
  const hasOptions = Object.keys(config).length > 0;
  const gpus = visibleGpus(placement);
  const network = transfers(worker) ? kvTransferNetwork(worker, placement) : { env: {}, reasons: [] };
  return {
    argv: [
      ...(worker.command ?? ['trtllm-serve']),
      ...['serve', worker.model, '--served_model_name', worker.servedModelName],
      ...['--host', placement.address, '--port', String(placement.ports['http'])],
      ...(hasOptions ? ['--extra_llm_api_options', `{file:${OPTIONS_FILE}}`] : []),
      ...formatArgs(withoutArgs(worker.args, [OPTIONS_FLAG]), { lists: 'commas', off: 'omit', underscores: true }),
    ],
    env: { ...gpus.env, ...network.env, ...worker.env },
    // JSON is YAML.
    ...(hasOptions ? { files: [{ name: OPTIONS_FILE, content: `${JSON.stringify(config, null, 2)}\n` }] } : {}),
    reasons: [
      ...gpus.reasons,
      ...(transfers(worker)
        ? [
            'the KV cache goes from context to generation worker over NIXL; each request says which of the two it is for',
          ]
        : []),
      ...network.reasons,
    ],
  };
}

function readiness(worker: WorkerSettings): Check[] {
  const checks: Check[] = [
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
  ];
  // A context worker generates when asked like any other.
  checks.push({ kind: 'generate', model: worker.servedModelName });
  return checks;
}

function check(worker: WorkerSettings): EngineFindings {
  const problems: RecipeIssue[] = [
    ...refuseArgs(worker.path, worker.args, TRTLLM_RESERVED),
    ...refuseEnv(worker.path, worker.env, TRTLLM_RESERVED_ENV),
    ...refuseSettings(worker, {
      kvEvents: 'TensorRT-LLM hands its KV events to one poller over HTTP, which dynamo does not do yet',
      kvOffload: 'set `kv_cache_config: { host_cache_size: BYTES }` within args.extra-llm-api-options',
      load: 'TensorRT-LLM has one loader',
    }),
  ];
  if (worker.gpus === 0) problems.push({ path: [...worker.path, 'gpus'], message: 'TensorRT-LLM runs on GPUs only' });
  const needed = parallelSize(worker);
  if (worker.gpus && worker.gpus !== needed)
    problems.push({
      path: [...worker.path, 'gpus'],
      message: `tp-size × pp-size × cp-size is ${needed}, so ${worker.gpus} GPUs do not fit; make them equal`,
    });
  const written = argValue(worker.args, OPTIONS_FLAG);
  if (written !== undefined && written !== null && !isMap(written))
    problems.push({
      path: [...worker.path, 'args', OPTIONS_FLAG],
      message: 'expected a map: dynamo writes the file, together with what the hand-over needs',
    });
  if (transfers(worker) && isMap(written) && written['return_perf_metrics'] === false)
    problems.push({
      path: [...worker.path, 'args', OPTIONS_FLAG, 'return_perf_metrics'],
      message: 'dynamo proves the hand-over by the timings that it turns on',
    });
  if (transfers(worker) && worker.kvTransfer.loadFailurePolicy === 'recompute')
    problems.push({
      path: ['kvTransfer', 'loadFailurePolicy'],
      message: 'a TensorRT-LLM generation worker cannot read a prompt again when the transfer fails; use `fail`',
    });
  return { problems, warnings: [] };
}

function checkPair(prefill: WorkerSettings, decode: WorkerSettings): EngineFindings {
  const [p, d] = [prefill, decode].map((worker) => String(argValue(worker.args, 'kv-cache-dtype') ?? 'not set'));
  if (p === d) return { problems: [], warnings: [] };
  const message = `\`kv-cache-dtype\` is ${d} for decode but ${p} for prefill workers; make them equal`;
  return { problems: [{ path: [...decode.path, 'args', 'kv-cache-dtype'], message }], warnings: [] };
}
