import type { EngineMetrics } from '../engine.ts';
import type { PhaseSignature } from '../start-phase.ts';

/** Lines of `sglang serve` in the order of a start. Wording drifts between versions: what is not recognised stays unsaid. */
export const SGLANG_PHASES: readonly PhaseSignature[] = [
  {
    pattern:
      /fired up and ready to roll|Application startup complete|warmup request|Start of (pd )?disaggregation warmup/i,
    phase: 'warm-up',
  },
  { pattern: /captur(e|ing).*cuda ?graph/i, phase: 'capture' },
  { pattern: /KV Cache is allocated|Memory pool end|max_total_num_tokens=/i, phase: 'memory' },
  { pattern: /DeepGEMM.*(JIT|warmup|compil)|torch\.compile|Building extension module/i, phase: 'compile' },
  { pattern: /Load weight (begin|end)|Loading (safetensors|pt) checkpoint|loading shards/i, phase: 'weights' },
  { pattern: /server_args=|Init torch distributed|launch_server/i, phase: 'import' },
];

export const SGLANG_METRICS: EngineMetrics = {
  path: '/metrics',
  requestsRunning: 'sglang:num_running_reqs',
  requestsWaiting: 'sglang:num_queue_reqs',
  requestsFinished: 'sglang:num_requests_total',
  kvCacheUsage: 'sglang:token_usage',
  cachedTokens: 'sglang:cached_tokens_total',
  promptTokens: 'sglang:prompt_tokens_total',
  generatedTokens: 'sglang:generation_tokens_total',
  transfers: 'sglang:kv_transfer_latency_ms_count',
  failedTransfers: ['sglang:num_transfer_failed_reqs_total', 'sglang:num_bootstrap_failed_reqs_total'],
  kvCacheSize: { blockSize: 'sglang:page_size', blocks: 'sglang:num_pages' },
};
