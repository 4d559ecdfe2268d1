import type { EngineMetrics } from '../engine.ts';
import type { PhaseSignature } from '../start-phase.ts';

/** Lines of `vllm serve`. Wording drifts between versions: what is not recognised stays unsaid. */
export const VLLM_PHASES: readonly PhaseSignature[] = [
  // These lines print the whole configuration, in which every other word occurs.
  { pattern: /non-default args|vLLM API server version|Resolved architecture|Initializing a V1/, phase: 'import' },
  { pattern: /Application startup complete|Starting vLLM (API )?server|init engine \(.*\) took/, phase: 'warm-up' },
  { pattern: /Capturing CUDA graphs?|Graph capturing/, phase: 'capture' },
  { pattern: /Available KV cache memory|[CG]PU KV cache size|Using \w+ KV cache layout/, phase: 'memory' },
  {
    pattern: /torch\.compile takes|Dynamo bytecode transform|Compiling a graph|Directly load the compiled graph/,
    phase: 'compile',
  },
  {
    pattern: /Starting to load model|Loading (safetensors|pt) checkpoint|Loading weights took|Model loading took/,
    phase: 'weights',
  },
];

export const VLLM_METRICS: EngineMetrics = {
  path: '/metrics',
  requestsRunning: 'vllm:num_requests_running',
  requestsWaiting: 'vllm:num_requests_waiting',
  requestsFinished: 'vllm:request_success_total',
  kvCacheUsage: 'vllm:kv_cache_usage_perc',
  cachedTokens: 'vllm:prefix_cache_hits_total',
  promptTokens: 'vllm:prompt_tokens_total',
  generatedTokens: 'vllm:generation_tokens_total',
  transfers: 'vllm:nixl_xfer_time_seconds_count',
  failedTransfers: ['vllm:nixl_num_failed_transfers_total', 'vllm:nixl_num_failed_notifications_total'],
  kvCacheSize: { metric: 'vllm:cache_config_info', blockSizeLabel: 'block_size', blocksLabel: 'num_gpu_blocks' },
};
