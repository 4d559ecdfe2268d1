import { HUB_AND_SYSTEM_FAILURES, NAMED_PORT, PORT_TAKEN } from '../common-failures.ts';
import type { EngineMetrics, FailureSignature } from '../engine.ts';
import type { PhaseSignature } from '../start-phase.ts';

const MODEL = 'it is `model` of the recipe';

/** Flags of `llama-server` that the adapter sets, or that would take the server out of dynamo's reach. */
export const LLAMACPP_RESERVED: Readonly<Record<string, string>> = {
  model: MODEL,
  'model-url': MODEL,
  'hf-repo': MODEL,
  'hf-file': 'write it into `model`: user/repo:quant',
  'hf-token': 'it would be readable in the process list; use `env: { HF_TOKEN: { fromEnv: HF_TOKEN } }`',
  alias: 'it is `servedModelName` of the recipe',
  host: "it is the host's address; the plan sets it",
  port: 'the plan assigns it; use `port` of the worker group',
  metrics: 'dynamo switches it on',
  slots: 'dynamo switches it on',
  'api-key': 'the frontend has no key to send to its workers',
  'api-key-file': 'the frontend has no key to send to its workers',
  'api-prefix': 'probes and frontends expect the API at its usual paths',
  'ssl-key-file': 'probes and frontends speak plain HTTP to workers',
  'ssl-cert-file': 'probes and frontends speak plain HTTP to workers',
  'models-dir': 'a worker serves one model; use `models`',
  'models-preset': 'a worker serves one model; use `models`',
  'sleep-idle-seconds': 'a sleeping worker would look dead',
};

export const LLAMACPP_RESERVED_ENV: Readonly<Record<string, string>> = {
  CUDA_VISIBLE_DEVICES: 'the plan assigns GPUs; use `gpus` and `gpuType`',
  CUDA_DEVICE_ORDER: 'GPU numbers of the plan are in PCI bus order',
  LLAMA_ARG_HOST: "it is the host's address; the plan sets it",
  LLAMA_ARG_PORT: 'the plan assigns it; use `port` of the worker group',
  LLAMA_ARG_MODEL: MODEL,
  LLAMA_API_KEY: 'the frontend has no key to send to its workers',
};

export const LLAMACPP_PHASES: readonly PhaseSignature[] = [
  { pattern: /warming up the model|server is listening|model loaded/i, phase: 'warm-up' },
  { pattern: /graph_reserve|compute buffer size/i, phase: 'capture' },
  {
    pattern: /llama_kv_cache|KV buffer size|initializing slots|llama_context:|initializing, n_slots|threadpool init/i,
    phase: 'memory',
  },
  { pattern: /load_tensors|llama_model_loader|loading model|print_info:/i, phase: 'weights' },
  { pattern: /downloading|common_download|curl_perform_with_retry/i, phase: 'download' },
  { pattern: /build(_info)?: ?\d+|system_info:|llama_server: initializing/i, phase: 'import' },
];

export const LLAMACPP_METRICS: EngineMetrics = {
  path: '/metrics',
  requestsRunning: 'llamacpp:requests_processing',
  requestsWaiting: 'llamacpp:requests_deferred',
  requestsFinished: null,
  kvCacheUsage: null,
  cachedTokens: 'llamacpp:prompt_tokens_cached_total',
  promptTokens: 'llamacpp:prompt_tokens_total',
  generatedTokens: 'llamacpp:tokens_predicted_total',
  transfers: null,
  failedTransfers: [],
  kvCacheSize: null,
};

/** Known failures of `llama-server` by a line of its output, causes before consequences. */
export const LLAMACPP_FAILURES: readonly FailureSignature[] = [
  PORT_TAKEN,
  {
    pattern: /couldn't bind (HTTP )?server socket|couldn't bind to server socket/i,
    code: 'PORT_IN_USE',
    cause: 'its port was taken between planning and starting',
    fix: 'Start again, or free the port.',
    port: NAMED_PORT,
    purposes: ['http'],
  },
  {
    pattern: /failed to open GGUF file|gguf_init_from_file|invalid magic|No such file or directory/i,
    code: 'EXITED_EARLY',
    cause: 'the model file is missing or is no GGUF file',
    fix: 'Check `model` in the recipe: the path of a .gguf file, or user/repo:quant.',
  },
  {
    pattern: /unknown model architecture|unknown pre-tokenizer type/i,
    code: 'EXITED_EARLY',
    cause: 'this llama.cpp is older than the model',
    fix: 'Install a newer llama.cpp.',
  },
  {
    pattern: /out of memory|failed to allocate (CUDA|Metal|buffer)|cudaMalloc failed|unable to allocate/i,
    code: 'EXITED_EARLY',
    cause: 'the model and its KV cache do not fit into memory',
    fix: 'Lower ctx-size, parallel or n-gpu-layers, or take a smaller quantisation.',
  },
  {
    pattern: /error: invalid argument:|error while handling argument/i,
    code: 'EXITED_EARLY',
    cause: 'this llama.cpp does not take one of the flags or values',
    fix: 'Compare `args` in the recipe with `llama-server --help`.',
  },
  {
    pattern: /HTTP error 40[134]|failed to download|error from HF API/i,
    code: 'EXITED_EARLY',
    cause: 'the model could not be downloaded',
    fix: 'Check `model` in the recipe; a gated model needs env: { HF_TOKEN: { fromEnv: HF_TOKEN } }.',
  },
  ...HUB_AND_SYSTEM_FAILURES,
];
