import type { KvEvent, KvTier, RemovedBlocks, StoredBlocks } from './kv-events.ts';

/**
 * What vLLM's and SGLang's KV events share: a batch is `[time, events, rank?]` with trailing defaults left out, an event a map with
 * a `type` or an array with its tag first, a hash u64, i64, a small integer or a digest, depending on engine and version.
 */

/** One event with its fields by name. */
export type EventFields = Readonly<Record<string, unknown>>;

/** Names of the fields of an event written as an array, after its tag. */
export type EventLayout = Readonly<Record<string, readonly string[]>>;

export interface RawBatch {
  at: number;
  events: unknown[];
  rank: number | null;
}

/** Throws `TypeError` when it is no batch. */
export function readBatch(value: unknown): RawBatch {
  if (!Array.isArray(value) || typeof value[0] !== 'number' || !Array.isArray(value[1]))
    throw new TypeError('not a batch of KV events');
  return { at: value[0], events: value[1], rank: typeof value[2] === 'number' ? value[2] : null };
}

/** Type and fields of one event; undefined for what is none. */
export function readEvent(value: unknown, layout: EventLayout): { type: string; fields: EventFields } | undefined {
  if (Array.isArray(value)) {
    const [tag, ...rest] = value as unknown[];
    if (typeof tag !== 'string') return undefined;
    const names = layout[tag] ?? [];
    return { type: tag, fields: Object.fromEntries(names.map((name, index) => [name, rest[index]])) };
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string')
    return undefined;
  return { type: value.type, fields: value as EventFields };
}

/** A hash as unsigned 64 bits. Of a digest its last eight bytes count, which is what engines publish where they publish integers. */
export function readHash(value: unknown): bigint {
  if (typeof value === 'bigint') return BigInt.asUintN(64, value);
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt.asUintN(64, BigInt(value));
  if (value instanceof Uint8Array && value.length >= 8)
    return Buffer.from(value.buffer, value.byteOffset, value.length).readBigUInt64BE(value.length - 8);
  throw new TypeError('not a block hash');
}

export function readHashes(value: unknown): bigint[] {
  if (!Array.isArray(value)) throw new TypeError('block hashes are no list');
  return value.map(readHash);
}

/** Undefined when they are no plain ids (SGLang's speculative decoding publishes pairs). */
export function readTokens(value: unknown): Uint32Array | undefined {
  if (!Array.isArray(value) || !value.every((id) => typeof id === 'number')) return undefined;
  return Uint32Array.from(value);
}

/** Tier of a medium by its name; the GPU where none is named. A name that is not known lies somewhere else. */
export function readTier(medium: unknown, tiers: Readonly<Record<string, KvTier>>): KvTier {
  if (medium === undefined || medium === null) return 'gpu';
  return tiers[String(medium)] ?? 'remote';
}

export const readGroup = (value: unknown): number | null => (typeof value === 'number' ? value : null);

export const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

/** The members that both engines fill alike; undefined for an event whose tokens cannot be used. */
export function readStored(
  fields: EventFields,
  tiers: Readonly<Record<string, KvTier>>,
): Omit<StoredBlocks, 'isKeyed' | 'isWholePrefix'> | undefined {
  const tokens = readTokens(fields['token_ids']);
  const { block_size: blockSize, parent_block_hash: parent } = fields;
  // Memory tiers of vLLM announce blocks without saying what is in them (size 0, or no tokens).
  if (tokens === undefined || tokens.length === 0 || blockSize === 0) return undefined;
  if (typeof blockSize !== 'number' || blockSize < 1) throw new TypeError('a stored block without its size');
  return {
    kind: 'stored',
    hashes: readHashes(fields['block_hashes']),
    parent: isPresent(parent) ? readHash(parent) : null,
    tokens,
    blockSize,
    tier: readTier(fields['medium'], tiers),
    group: readGroup(fields['group_idx']) ?? 0,
  };
}

export function readRemoved(fields: EventFields, tiers: Readonly<Record<string, KvTier>>): RemovedBlocks {
  return {
    kind: 'removed',
    hashes: readHashes(fields['block_hashes']),
    tier: readTier(fields['medium'], tiers),
    group: readGroup(fields['group_idx']),
  };
}

/** Applies `read` to every event; those it does not know are left out. */
export function readEvents(
  batch: RawBatch,
  layout: EventLayout,
  read: (type: string, fields: EventFields) => KvEvent | undefined,
): KvEvent[] {
  return batch.events.flatMap((value) => {
    const event = readEvent(value, layout);
    return (event && read(event.type, event.fields)) ?? [];
  });
}
