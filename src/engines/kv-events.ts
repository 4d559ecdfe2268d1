/**
 * What engines publish of their KV caches, in one form. An event says which blocks of tokens a worker has now, or has no more.
 * Engine hashes are opaque handles: they link a block to its parent and to its removal, and mean nothing elsewhere.
 */
export interface KvEventBatch {
  /** Unix time in seconds, by the worker's clock. */
  at: number;
  /** Data-parallel rank, where the batch tells. */
  rank: number | null;
  events: KvEvent[];
}

export type KvEvent = StoredBlocks | RemovedBlocks | ClearedBlocks;

/** Consecutive blocks of one prompt or answer are in a cache tier now. */
export interface StoredBlocks {
  kind: 'stored';
  /** One a block, unsigned 64 bits, in order. */
  hashes: bigint[];
  /** Handle of the block before the first; null when it is the beginning. */
  parent: bigint | null;
  /** Tokens of all blocks, one after the other; the last block may be shorter. */
  tokens: Uint32Array;
  blockSize: number;
  tier: KvTier;
  /** Group of a hybrid cache; hashes of different groups have nothing to do with each other. */
  group: number;
  /** These tokens alone do not find the block again: adapter, salt or images count too. */
  isKeyed: boolean;
  /** False for sliding windows and state-space layers: having such a block does not save computing the prompt. */
  isWholePrefix: boolean;
}

export interface RemovedBlocks {
  kind: 'removed';
  hashes: bigint[];
  tier: KvTier;
  /** Null: of every group. */
  group: number | null;
}

/** Every block of every tier is gone. */
export interface ClearedBlocks {
  kind: 'cleared';
}

/** Where a block lies. A block may lie in several tiers, and a removal names one of them. */
export type KvTier = 'gpu' | 'cpu' | 'disk' | 'remote';

/** Reads the payload of one message. Throws `TypeError` when it is none. */
export type KvEventDecoder = (payload: Uint8Array) => KvEventBatch;
