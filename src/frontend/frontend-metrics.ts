import { type Counter, type Histogram, MetricRegistry } from '../telemetry/metric-registry.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const TOKEN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1];
const TOKENS = [1, 16, 64, 256, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072];

/** The frontend's metrics, with NVIDIA Dynamo's names where it has the same thing. */
export class FrontendMetrics {
  readonly registry = new MetricRegistry();
  readonly requests: Counter;
  readonly requestsStarted: Counter;
  readonly activeRequests: Counter;
  readonly disconnectedClients: Counter;
  readonly outputTokens: Counter;
  readonly rejections: Counter;
  readonly retries: Counter;
  readonly decodeFallbacks: Counter;
  readonly unsplitRequests: Counter;
  readonly transferDoubts: Counter;
  readonly quarantinedPairs: Counter;
  readonly inputLength: Histogram;
  readonly outputLength: Histogram;
  readonly cachedTokens: Histogram;
  readonly timeToFirstToken: Histogram;
  readonly interTokenLatency: Histogram;
  readonly duration: Histogram;
  readonly workers: Counter;
  readonly workerInFlight: Counter;
  readonly workerPrefillTokens: Counter;
  readonly workerDecodeBlocks: Counter;

  constructor() {
    const registry = this.registry;
    const name = (suffix: string) => `dynamo_frontend_${suffix}`;
    const model = ['model'];
    const worker = ['model', 'worker', 'role'];
    this.requests = registry.counter(name('requests_total'), 'Requests that have ended.', [
      'model',
      'endpoint',
      'request_type',
      'status',
      'error_type',
    ]);
    this.requestsStarted = registry.counter(name('requests_started_total'), 'Requests accepted.', model);
    this.activeRequests = registry.gauge(name('active_requests'), 'Requests being served.', model);
    this.disconnectedClients = registry.counter(
      name('disconnected_clients'),
      'Clients that went away before their response was complete.',
    );
    this.outputTokens = registry.counter(name('output_tokens_total'), 'Tokens generated.', model);
    this.rejections = registry.counter(name('admission_rejection_total'), 'Requests refused before routing.', ['gate']);
    this.retries = registry.counter(
      name('upstream_retries_total'),
      'Tries that failed on one worker and were made again elsewhere.',
      ['model', 'role', 'reason'],
    );
    this.decodeFallbacks = registry.counter(
      name('decode_fallback_total'),
      'Requests whose prefill ran on the decode worker because no prefill worker delivered.',
      ['model', 'reason'],
    );
    this.unsplitRequests = registry.counter(
      name('unsplit_requests_total'),
      'Requests served whole by a decode worker because they cannot be split.',
      ['model', 'reason'],
    );
    this.transferDoubts = registry.counter(
      name('kv_transfer_doubts_total'),
      'Answers of decode workers that were withheld because their KV cache may be wrong.',
      ['model', 'reason'],
    );
    this.quarantinedPairs = registry.gauge(
      name('quarantined_pairs'),
      'Pairs of prefill and decode workers that get no requests after a failed KV transfer.',
    );
    this.inputLength = registry.histogram(name('input_sequence_tokens'), 'Prompt tokens.', TOKENS, model);
    this.outputLength = registry.histogram(name('output_sequence_tokens'), 'Generated tokens.', TOKENS, model);
    this.cachedTokens = registry.histogram(name('cached_tokens'), 'Prompt tokens found in cache.', TOKENS, model);
    this.timeToFirstToken = registry.histogram(
      name('time_to_first_token_seconds'),
      'From the request to the first content sent to the client.',
      SECONDS,
      model,
    );
    this.interTokenLatency = registry.histogram(
      name('inter_token_latency_seconds'),
      'Mean time between tokens of a response, counted once a token.',
      TOKEN_SECONDS,
      model,
    );
    this.duration = registry.histogram(name('request_duration_seconds'), 'From request to end.', SECONDS, model);
    this.workers = registry.gauge(name('router_workers'), 'Workers known.', ['model', 'role', 'state']);
    this.workerInFlight = registry.gauge(name('worker_inflight_requests'), 'Requests on a worker.', worker);
    this.workerPrefillTokens = registry.gauge(
      name('worker_active_prefill_tokens'),
      'Uncached prompt tokens sent to a worker and not yet through prefill.',
      worker,
    );
    this.workerDecodeBlocks = registry.gauge(
      name('worker_active_decode_blocks'),
      'KV blocks of the prompts running on a worker.',
      worker,
    );
  }
}
