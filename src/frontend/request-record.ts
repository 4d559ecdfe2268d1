import { performance } from 'node:perf_hooks';
import type { Logger } from '../base/log.ts';
import type { CompletionKind } from '../openai/completion-request.ts';
import type { FrontendMetrics } from './frontend-metrics.ts';

/** Metric label of requests for a model that is not served. */
const UNKNOWN_MODEL = 'unknown';
/** Metric label. */
const ENDPOINTS: Record<CompletionKind, string> = {
  chat: 'chat_completions',
  text: 'completions',
  embeddings: 'embeddings',
};

/** `ok`, the client left, refused or failed before or after the first byte. */
export type Outcome = 'ok' | 'disconnected' | 'rejected' | 'failed' | 'cut';

/** What is known of one request, for its log line and the metrics. Prompts are not part of it. */
export class RequestRecord {
  readonly id: string;
  readonly kind: CompletionKind;
  readonly startedMs = performance.now();
  model: string | undefined;
  stream = false;
  worker: string | undefined;
  prefillWorker: string | undefined;
  /** Why prefill ran on the decode worker. */
  localPrefill: string | undefined;
  retries = 0;
  promptTokens: number | undefined;
  cachedTokens: number | undefined;
  completionTokens: number | undefined;
  firstTokenMs: number | undefined;
  status = 0;
  errorType = '';
  outcome: Outcome = 'ok';
  /** The model is served here, so that its name may become a metric label. */
  modelKnown = false;

  constructor(id: string, kind: CompletionKind) {
    this.id = id;
    this.kind = kind;
  }

  /** Counts and logs the request; called once, when it has ended. */
  finish(metrics: FrontendMetrics, log: Logger): void {
    const totalMs = performance.now() - this.startedMs;
    // A name that nobody serves would let callers make as many series as they like.
    const model = this.modelKnown ? (this.model ?? UNKNOWN_MODEL) : UNKNOWN_MODEL;
    metrics.requests.add(1, [
      model,
      ENDPOINTS[this.kind],
      this.stream ? 'stream' : 'unary',
      this.outcome === 'ok' ? 'success' : 'error',
      this.outcome === 'disconnected' ? 'cancelled' : this.errorType,
    ]);
    if (this.outcome === 'disconnected') metrics.disconnectedClients.add(1);
    const labels = [model];
    metrics.duration.observe(totalMs / 1_000, labels);
    if (this.promptTokens !== undefined) metrics.inputLength.observe(this.promptTokens, labels);
    if (this.cachedTokens !== undefined) metrics.cachedTokens.observe(this.cachedTokens, labels);
    const tokens = this.completionTokens;
    if (tokens !== undefined) {
      metrics.outputTokens.add(tokens, labels);
      metrics.outputLength.observe(tokens, labels);
    }
    const ttftMs = this.firstTokenMs === undefined ? undefined : this.firstTokenMs - this.startedMs;
    if (ttftMs !== undefined && this.stream) {
      metrics.timeToFirstToken.observe(ttftMs / 1_000, labels);
      if (tokens !== undefined && tokens > 1) {
        metrics.interTokenLatency.observe((totalMs - ttftMs) / 1_000 / (tokens - 1), labels, tokens - 1);
      }
    }
    log.info(
      {
        requestId: this.id,
        model: this.model,
        endpoint: this.kind,
        stream: this.stream,
        worker: this.worker,
        prefillWorker: this.prefillWorker,
        localPrefill: this.localPrefill,
        retries: this.retries,
        promptTokens: this.promptTokens,
        cachedTokens: this.cachedTokens,
        tokens,
        ttftMs: round(ttftMs),
        totalMs: round(totalMs),
        status: this.status,
        error: this.errorType === '' ? undefined : this.errorType,
        outcome: this.outcome,
      },
      'request',
    );
  }
}

function round(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 10) / 10;
}
