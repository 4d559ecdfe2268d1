import { HUB_AND_SYSTEM_FAILURES, PORT_TAKEN } from '../common-failures.ts';
import type { EngineMetrics, FailureSignature } from '../engine.ts';
import { NO_METRICS } from '../no-metrics.ts';
import type { PhaseSignature } from '../start-phase.ts';

/** Flags of `trtllm-serve` that the adapter sets, or that would take the server out of dynamo's reach. */
export const TRTLLM_RESERVED: Readonly<Record<string, string>> = {
  model: 'it is `model` of the recipe',
  'served-model-name': 'it is `servedModelName` of the recipe',
  host: "it is the host's address; the plan sets it",
  port: 'the plan assigns it; use `port` of the worker group',
  config: 'write its content as a map under `extra-llm-api-options`',
  'server-role': 'each request says its role; it is for a registry that dynamo does not use',
  'metadata-server-config-file': 'it is for a registry that dynamo does not use',
  'cluster-size': 'it is for a registry that dynamo does not use',
};

export const TRTLLM_RESERVED_ENV: Readonly<Record<string, string>> = {
  CUDA_VISIBLE_DEVICES: 'the plan assigns GPUs; use `gpus` and `gpuType`',
  CUDA_DEVICE_ORDER: 'GPU numbers of the plan are in PCI bus order',
};

export const TRTLLM_PHASES: readonly PhaseSignature[] = [
  { pattern: /Application startup complete|warm-?up/i, phase: 'warm-up' },
  { pattern: /CUDA graph/i, phase: 'capture' },
  { pattern: /Memory used after loading|Max KV cache|KV cache (size|manager)|paged kv cache/i, phase: 'memory' },
  { pattern: /torch\.compile|autotun|Build engine|Building TensorRT/i, phase: 'compile' },
  { pattern: /Loading weights|Prefetching .*weights|Loading checkpoint/i, phase: 'weights' },
  { pattern: /TensorRT-LLM version|\[TensorRT-LLM\].*version/i, phase: 'import' },
];

/** `/metrics` is JSON that each reader empties: not for us. Prometheus text needs `return_perf_metrics: true` in the options. */
export const TRTLLM_METRICS: EngineMetrics = { ...NO_METRICS, path: '/prometheus/metrics' };

/** Known failures of `trtllm-serve` by a line of its output, causes before consequences. */
export const TRTLLM_FAILURES: readonly FailureSignature[] = [
  PORT_TAKEN,
  {
    pattern: /CUDA out of memory|OutOfMemoryError|insufficient memory for KV/i,
    code: 'EXITED_EARLY',
    cause: 'the GPU had not enough free memory',
    fix: 'Lower max-seq-len, max-batch-size or kv_cache_config.free_gpu_memory_fraction, or raise tp-size and gpus.',
  },
  {
    pattern: /max_tokens_in_buffer/i,
    code: 'KV_PATH_FAILED',
    cause: 'a prompt is longer than the transfer buffer',
    fix: 'Set cache_transceiver_config.max_tokens_in_buffer in extra-llm-api-options to at least the longest prompt.',
  },
  {
    pattern: /libmpi\S*: cannot open shared object|No module named 'mpi4py'/i,
    code: 'EXITED_EARLY',
    cause: 'MPI, which TensorRT-LLM needs even on one host, is not installed',
    fix: 'Install OpenMPI, or use the TensorRT-LLM container.',
  },
  {
    pattern: /No such option:|Error: Invalid value for|Got unexpected extra argument/i,
    code: 'EXITED_EARLY',
    cause: 'this TensorRT-LLM version does not take one of the flags or values',
    fix: 'Compare `args` in the recipe with `trtllm-serve serve --help`.',
  },
  {
    pattern: /extra fields not permitted|Extra inputs are not permitted|validation errors? for .*LlmArgs/i,
    code: 'EXITED_EARLY',
    cause: 'this TensorRT-LLM version does not know one of the extra-llm-api-options',
    fix: 'Correct it; the line above names it.',
  },
  ...HUB_AND_SYSTEM_FAILURES,
];
