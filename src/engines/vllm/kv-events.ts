import { type EventLayout, isPresent, readBatch, readEvents, readRemoved, readStored } from '../kv-event-fields.ts';
import type { KvEventBatch, KvTier } from '../kv-events.ts';

/**
 * vLLM's KV events (`vllm/distributed/kv_events.py`): maps since 0.24, arrays before, in the order in which fields were added.
 * Fields that newer versions add are passed over.
 */
const LAYOUT: EventLayout = {
  BlockStored: [
    ...['block_hashes', 'parent_block_hash', 'token_ids', 'block_size', 'lora_id', 'medium', 'lora_name', 'extra_keys'],
    ...['group_idx', 'kv_cache_spec_kind'],
  ],
  BlockRemoved: ['block_hashes', 'medium', 'group_idx'],
  AllBlocksCleared: [],
};

const TIERS: Readonly<Record<string, KvTier>> = {
  GPU: 'gpu',
  CPU: 'cpu',
  STORAGE: 'disk',
  FS: 'disk',
  OBJ: 'remote',
};

/** Reads an unpacked batch. Throws `TypeError` when it is none. */
export function readVllmEvents(value: unknown): KvEventBatch {
  const batch = readBatch(value);
  const events = readEvents(batch, LAYOUT, (type, fields) => {
    if (type === 'AllBlocksCleared') return { kind: 'cleared' };
    if (type === 'BlockRemoved') return readRemoved(fields, TIERS);
    if (type !== 'BlockStored') return undefined;
    const stored = readStored(fields, TIERS);
    const { extra_keys: extra, lora_name: lora, kv_cache_spec_kind: kind } = fields;
    return (
      stored && {
        ...stored,
        isKeyed: isPresent(lora) || isPresent(fields['lora_id']) || (Array.isArray(extra) && extra.some(isPresent)),
        isWholePrefix: !isPresent(kind) || kind === 'full_attention',
      }
    );
  });
  return { at: batch.at, rank: batch.rank, events };
}
