import { performance } from 'node:perf_hooks';
import { isHybrid } from '../../engines/model-family.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { AnswerGate } from '../relay/gated-output.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { hasRisen, type TransferCounters } from './transfer-counters.ts';

/** A baseline may be this much older than the request. */
const BASELINE_AGE_MS = 1_000;

interface WatchedRequest {
  requestId: string;
  model: string;
  /** When leg 1 was sent and when it answered, monotonic. */
  startedMs: number;
  prefilledMs: number;
}

/**
 * Looks for proof that the KV cache behind one answer of vLLM may be wrong, as the answer itself does not tell:
 * - a hybrid-KV model whose transfer failed answers 200 with garbage (vllm-project/vllm#52234); the decode worker counts it;
 * - a decode worker that reads after the prefill worker's lease gets the blocks of whatever lies there by then, and 200;
 *   only the prefill worker counts it.
 * Counters are of the whole engine, so a failure next door also ends this request: wrong text is worse than a retry.
 */
export class TransferWatch implements AnswerGate, Disposable {
  readonly #context: FrontendContext;
  readonly #request: WatchedRequest;
  readonly #prefill: KnownInstance;
  readonly #decode: KnownInstance;
  readonly #isGuarded: boolean;
  #failedBefore: TransferCounters | undefined;
  #overrunsBefore: Promise<TransferCounters | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLate = false;

  private constructor(
    context: FrontendContext,
    request: WatchedRequest,
    prefill: KnownInstance,
    decode: KnownInstance,
  ) {
    this.#context = context;
    this.#request = request;
    this.#prefill = prefill;
    this.#decode = decode;
    this.#isGuarded = isGuarded(context, decode);
    // Only a slow second leg needs it, and no lease ends before this.
    const halfMs = context.options.kvLeaseMs / 2 - (performance.now() - request.prefilledMs);
    this.#timer = setTimeout(
      () => {
        this.#overrunsBefore = context.transfers
          .of(prefill)
          .fresh()
          .catch(() => undefined);
      },
      Math.max(0, halfMs),
    ).unref();
  }

  /** Begins, right before leg 2 is sent. Throws `UpstreamFailure` when the decode worker's counters cannot be read. */
  static async begin(
    context: FrontendContext,
    request: WatchedRequest,
    prefill: KnownInstance,
    decode: KnownInstance,
  ): Promise<TransferWatch> {
    const watch = new TransferWatch(context, request, prefill, decode);
    if (!watch.#isGuarded) return watch;
    try {
      const maxAgeMs = performance.now() - request.startedMs + BASELINE_AGE_MS;
      watch.#failedBefore = await context.transfers.of(decode).recent(maxAgeMs);
      return watch;
    } catch {
      watch[Symbol.dispose]();
      throw watch.#doubt('unreadable', 'the decode worker does not show its transfer counters');
    }
  }

  get holdsEnd(): boolean {
    return this.#isGuarded || this.#isLate;
  }

  beforeFirst(): Promise<void> | undefined {
    this[Symbol.dispose]();
    this.#isLate = performance.now() - this.#request.prefilledMs > this.#context.options.kvLeaseMs;
    return this.holdsEnd ? this.#check() : undefined;
  }

  beforeEnd(): Promise<void> {
    return this.#check();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  async #check(): Promise<void> {
    await Promise.all([
      this.#isGuarded ? this.#checkDecode() : undefined,
      this.#isLate ? this.#checkPrefill() : undefined,
    ]);
  }

  async #checkDecode(): Promise<void> {
    const after = await this.#read(this.#decode);
    if (this.#failedBefore !== undefined && !hasRisen(this.#failedBefore, after, 'failedTransfers')) return;
    this.#context.transfers.quarantine.add(
      this.#prefill.record,
      this.#decode.record,
      'a KV transfer failed',
      performance.now(),
    );
    throw this.#doubt('failed_transfer', 'a KV transfer to the decode worker failed while it served this request');
  }

  async #checkPrefill(): Promise<void> {
    const before = await this.#overrunsBefore;
    const after = await this.#read(this.#prefill);
    if (before !== undefined && !hasRisen(before, after, 'leaseOverruns')) return;
    throw this.#doubt('lease_over', 'the KV cache may have been read after its lease was over');
  }

  async #read(instance: KnownInstance): Promise<TransferCounters> {
    try {
      return await this.#context.transfers.of(instance).fresh();
    } catch {
      throw this.#doubt('unreadable', `${instance.record.name} does not show its transfer counters`);
    }
  }

  #doubt(reason: string, message: string): UpstreamFailure {
    const { requestId, model } = this.#request;
    this.#context.metrics.transferDoubts.add(1, [model, reason]);
    this.#context.log.warn(
      { requestId, prefillWorker: this.#prefill.record.name, worker: this.#decode.record.name, reason },
      `an answer is withheld: ${message}`,
    );
    return new UpstreamFailure('failed', message);
  }
}

/** Reads the counters of guarded decode workers while leg 1 runs, so that leg 2 need not wait for them. */
export function askForBaselines(context: FrontendContext, decodes: readonly KnownInstance[]): void {
  for (const decode of decodes) {
    if (isGuarded(context, decode))
      context.transfers
        .of(decode)
        .recent(BASELINE_AGE_MS)
        .catch(() => {});
  }
}

/** Whether every answer of a decode worker is checked against its count of failed transfers. */
function isGuarded({ options }: FrontendContext, { record }: KnownInstance): boolean {
  if (record.kvTransfer !== 'vllm-nixl' || options.kvTransferGuard === 'off') return false;
  if (options.kvTransferGuard === 'always') return true;
  // Where the record does not say, the name the model is served under may.
  return record.hybridKv ?? (record.engine === 'vllm' && record.model !== null && isHybrid(record.model));
}
