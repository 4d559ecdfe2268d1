import type { SchedulerStats } from '../scheduler/step-result.ts';
import { escapeLabel, Histogram, MetricText } from './metric-text.ts';
import type { MockerOptions } from './options.ts';

const FIRST_TOKEN_BOUNDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];
const TOKEN_BOUNDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const REQUEST_BOUNDS = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const TRANSFER_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5];
const BYTES_BOUNDS = Array.from({ length: 10 }, (_, index) => 2 ** (17 + index * 2));

export type PromptSource = 'local_compute' | 'local_cache_hit' | 'external_kv_transfer';
export type FinishReason = 'stop' | 'length' | 'abort' | 'error';

/** Counters and histograms of one worker, under the names of vLLM's /metrics. */
export class MockerMetrics {
  readonly requestSuccess = new Map<string, number>([
    ['stop', 0],
    ['length', 0],
    ['abort', 0],
    ['error', 0],
  ]);
  readonly promptTokensBySource = new Map<string, number>([
    ['local_compute', 0],
    ['local_cache_hit', 0],
    ['external_kv_transfer', 0],
  ]);
  readonly timeToFirstToken = new Histogram(FIRST_TOKEN_BOUNDS);
  readonly interTokenLatency = new Histogram(TOKEN_BOUNDS);
  readonly requestLatency = new Histogram(REQUEST_BOUNDS);
  readonly queueTime = new Histogram(REQUEST_BOUNDS);
  readonly transferTime = new Histogram(TRANSFER_BOUNDS);
  readonly transferBytes = new Histogram(BYTES_BOUNDS);
  promptTokens = 0;
  promptTokensCached = 0;
  generationTokens = 0;
  externalQueries = 0;
  externalHits = 0;
  failedTransfers = 0;
  failedNotifications = 0;
  expiredRequests = 0;
  lateNotifications = 0;
  readonly #processStartSeconds: number;

  /** `processStartSeconds` = Unix time; it names this run of the process. */
  constructor(processStartSeconds: number) {
    this.#processStartSeconds = processStartSeconds;
  }

  countFinish(reason: FinishReason): void {
    this.requestSuccess.set(reason, this.requestSuccess.get(reason)! + 1);
  }

  countPrompt(source: PromptSource, tokens: number): void {
    this.promptTokensBySource.set(source, this.promptTokensBySource.get(source)! + tokens);
  }

  render(stats: SchedulerStats, options: MockerOptions, memoryBytes: number): string {
    const text = new MetricText(`engine="0",model_name="${escapeLabel(options.modelName)}"`);
    text.gauge('vllm:num_requests_running', 'Number of requests in model execution batches.', stats.running);
    text.gauge('vllm:num_requests_waiting', 'Number of requests waiting to be processed.', stats.waiting);
    text.gauge(
      'vllm:kv_cache_usage_perc',
      'KV-cache usage. 1 means 100 percent usage.',
      stats.activeBlocks / stats.totalBlocks,
    );
    text.counter('vllm:prefix_cache_queries', 'Prefix cache queries, in tokens.', stats.prefixQueries);
    text.counter('vllm:prefix_cache_hits', 'Prefix cache hits, in tokens.', stats.prefixHits);
    text.counter(
      'vllm:external_prefix_cache_queries',
      'Connector prefix cache queries, in tokens.',
      this.externalQueries,
    );
    text.counter('vllm:external_prefix_cache_hits', 'Connector prefix cache hits, in tokens.', this.externalHits);
    text.counter('vllm:num_preemptions', 'Preemptions of the engine.', stats.preemptions);
    text.counter('vllm:prompt_tokens', 'Prefill tokens processed.', this.promptTokens);
    text.counter('vllm:prompt_tokens_by_source', 'Prompt tokens by where their KV cache came from.', {
      label: 'source',
      values: this.promptTokensBySource,
    });
    text.counter('vllm:prompt_tokens_cached', 'Prompt tokens found in a cache.', this.promptTokensCached);
    text.counter('vllm:generation_tokens', 'Generation tokens processed.', this.generationTokens);
    text.counter('vllm:request_success', 'Finished requests by reason.', {
      label: 'finished_reason',
      values: this.requestSuccess,
    });
    text.histogram('vllm:time_to_first_token_seconds', 'Time to first token in seconds.', this.timeToFirstToken);
    text.histogram('vllm:inter_token_latency_seconds', 'Inter-token latency in seconds.', this.interTokenLatency);
    text.histogram('vllm:e2e_request_latency_seconds', 'End-to-end request latency in seconds.', this.requestLatency);
    text.histogram('vllm:request_queue_time_seconds', 'Time spent waiting in seconds.', this.queueTime);
    if (options.disaggregationMode !== 'agg') this.#renderTransfers(text);
    text.info('vllm:cache_config_info', 'Information of the cache configuration.', {
      block_size: String(options.blockSize),
      enable_prefix_caching: options.enablePrefixCaching ? 'True' : 'False',
      engine: '0',
      num_gpu_blocks: String(options.totalBlocks),
    });
    text.bare(
      'process_start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
      this.#processStartSeconds,
    );
    text.bare('process_resident_memory_bytes', 'Resident memory size in bytes.', memoryBytes);
    return text.toString();
  }

  #renderTransfers(text: MetricText): void {
    text.histogram('vllm:nixl_xfer_time_seconds', 'KV transfer duration in seconds.', this.transferTime);
    text.histogram('vllm:nixl_bytes_transferred', 'Bytes per KV transfer.', this.transferBytes);
    text.counter('vllm:nixl_num_failed_transfers', 'Failed KV transfers.', this.failedTransfers);
    text.counter('vllm:nixl_num_failed_notifications', 'Failed KV notifications.', this.failedNotifications);
    text.counter('vllm:nixl_num_kv_expired_reqs', 'Requests whose KV blocks expired unread.', this.expiredRequests);
    text.counter(
      'vllm:nixl_num_notifications_after_expiry',
      'Readers that were done only after the KV blocks had expired.',
      this.lateNotifications,
    );
  }
}
