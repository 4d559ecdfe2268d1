import { BlockKeys } from '../scheduler/block-keys.ts';
import type { ScheduledRequest } from '../scheduler/request.ts';
import { nextToken } from '../tokens/mock-language.ts';
import { decodeText } from '../tokens/mock-tokenizer.ts';
import { PrefixHash } from '../tokens/prefix-hash.ts';
import type { KvDirection, KvTransferParams } from './kv-transfer-params.ts';
import type { FinishReason } from './metrics.ts';
import type { ClaimReply } from './side-channel-protocol.ts';
import { StopStrings } from './stop-strings.ts';

/** Who is told what a generation does. Several generations may share one. */
export interface GenerationListener {
  /** One more token, and the text that may be shown now. With `finish`, the last of both. */
  onToken(generation: Generation, token: number, text: string, finish: FinishReason | null): void;
  /** Ended without a further token: aborted by the worker. */
  onEnd(generation: Generation, finish: FinishReason): void;
  /** The worker could not do it. */
  onFailure(generation: Generation): void;
  /** Everything of this moment has been told: time to write. */
  flush(): void;
}

export interface GenerationOptions {
  /** vLLM's internal id: `chatcmpl-<id>-<8 hex>`. */
  requestId: string;
  prompt: Uint32Array;
  maxTokens: number;
  minTokens: number;
  stop: readonly string[];
  stopTokenIds: ReadonlySet<number>;
  seed: number;
  blockSize: number;
  direction: KvDirection;
  /** Position among the choices of the answer. */
  choice: number;
  listener: GenerationListener;
}

/** One sequence being generated: the model's state, and what its owner wants to know. Timing is the engine's business. */
export class Generation {
  readonly options: GenerationOptions;
  readonly keys: BlockKeys;
  /** Set while the engine has it. */
  request: ScheduledRequest<Generation> | undefined;
  readonly tokens: number[] = [];
  cachedTokens = 0;
  externalTokens = 0;
  /** The stop string or token id that ended it. */
  stopReason: string | number | null = null;
  /** For leg 2; set when a `produce` generation ends. */
  kvTransferParams: KvTransferParams | undefined;
  /** Monotonic milliseconds. */
  arrivedAtMs = 0;
  lastTokenAtMs = 0;
  /** What the model has read: the prompt's KV cache, wherever it came from, and every token since. */
  #prefix: PrefixHash;
  #last: number;
  /** The state after the prompt alone. */
  readonly promptContent: ClaimReply;
  readonly #stops: StopStrings;

  constructor(options: GenerationOptions) {
    this.options = options;
    this.keys = new BlockKeys(
      options.blockSize,
      Math.ceil((options.prompt.length + Math.min(options.maxTokens, 1_024)) / options.blockSize),
    );
    this.keys.pushAll(options.prompt);
    this.#prefix = this.keys.hash;
    this.#last = options.prompt[options.prompt.length - 1]!;
    this.#stops = new StopStrings(options.stop);
    const { a, b } = this.keys.hash;
    this.promptContent = { ok: true, num_tokens: options.prompt.length, prefix: [a, b], last_token: this.#last };
  }

  /** The KV cache of the prompt came from another worker: whatever it holds, the model now believes. */
  adopt(content: ClaimReply): void {
    const prefix = new PrefixHash();
    [prefix.a, prefix.b] = content.prefix;
    prefix.length = content.num_tokens;
    this.#prefix = prefix;
    this.#last = content.last_token;
  }

  /** Generates one token and tells the listener. Returns whether a stop string or token ended it. */
  advance(isLast: boolean): FinishReason | null {
    const { listener, minTokens, stopTokenIds, seed } = this.options;
    const token = nextToken(this.#prefix, this.#last, seed);
    this.keys.push(token);
    if (this.#prefix !== this.keys.hash) this.#prefix.push(token);
    this.#last = token;
    this.tokens.push(token);
    const maySearch = this.tokens.length > minTokens;
    const stopsHere = stopTokenIds.has(token) && this.tokens.length >= minTokens;
    let shown = this.#stops.push(stopsHere ? '' : decodeText([token]), maySearch);
    let finish: FinishReason | null = null;
    if (this.#stops.found !== undefined || stopsHere) {
      finish = 'stop';
      this.stopReason = this.#stops.found ?? token;
    } else if (isLast) finish = 'length';
    if (finish) shown += this.#stops.rest();
    listener.onToken(this, token, shown, finish);
    return finish;
  }
}
