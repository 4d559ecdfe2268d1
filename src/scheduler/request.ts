import type { BlockKeys } from './block-keys.ts';

/**
 * waiting → running → finished                     the usual way
 * waiting → loading → loaded → running             its prompt's KV cache comes from another worker
 * running → waiting                                preempted: its blocks are gone, it computes them again
 * running → held → finished                        done, but its blocks are kept for a reader on another worker
 * any → finished                                   aborted
 */
export type RequestState = 'waiting' | 'loading' | 'loaded' | 'running' | 'held' | 'finished';

export interface RequestOptions<T> {
  promptTokens: number;
  /** Tokens to produce; the request finishes with exactly this many unless it is aborted or stopped before. */
  outputTokens: number;
  /** Keys of the full blocks; must cover the prompt's when prefixes are to be reused. Grows while tokens are produced. */
  keys?: BlockKeys | undefined;
  /** The prompt's KV cache is to be loaded from another worker instead of computed. */
  loadsRemotely?: boolean;
  /** Keep the blocks after the last token, until `releaseHold`. */
  holdsBlocks?: boolean;
  /** Whatever the caller wants back with the results. */
  owner: T;
}

/** One request inside a scheduler. The fields are for the scheduler to write and for everyone to read. */
export class ScheduledRequest<T> {
  readonly owner: T;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly keys: BlockKeys | undefined;
  loadsRemotely: boolean;
  readonly holdsBlocks: boolean;
  state: RequestState = 'waiting';
  /** Tokens whose KV cache is there, and tokens produced so far. */
  computed = 0;
  produced = 0;
  /** Prompt tokens found in the local prefix cache when first scheduled; −1 before. */
  cachedTokens = -1;
  /** Prompt tokens whose KV cache came from another worker. */
  externalTokens = 0;
  preemptions = 0;
  /** Tokens given to it in the current step. */
  scheduled = 0;
  /** Blocks in order of the sequence; entries from `blockCount` on are not set. */
  readonly blocks: Int32Array;
  blockCount = 0;
  /** Blocks that were offered to the prefix cache. */
  stored = 0;

  constructor(options: RequestOptions<T>, maxBlocks: number) {
    this.owner = options.owner;
    this.promptTokens = options.promptTokens;
    this.outputTokens = options.outputTokens;
    this.keys = options.keys;
    this.loadsRemotely = options.loadsRemotely ?? false;
    this.holdsBlocks = options.holdsBlocks ?? false;
    this.blocks = new Int32Array(maxBlocks);
  }
}
