import { type EventLayout, readBatch, readEvents, readRemoved, readStored } from '../kv-event-fields.ts';
import type { KvEventBatch, KvTier } from '../kv-events.ts';

/**
 * SGLang's KV events (`srt/disaggregation/kv_events.py`): arrays, one page a stored event, hashes as signed 64 bits, removals by
 * tier. Adapters, salts and extra keys are not part of its hashes, nor does it tell of them. With speculative decoding its tokens
 * are pairs, which say nothing of prompts: such events are left out.
 */
const LAYOUT: EventLayout = {
  BlockStored: ['block_hashes', 'parent_block_hash', 'token_ids', 'block_size', 'lora_id', 'medium'],
  BlockRemoved: ['block_hashes', 'medium'],
  AllBlocksCleared: [],
};

const TIERS: Readonly<Record<string, KvTier>> = { GPU: 'gpu', CPU_PINNED: 'cpu', DISK: 'disk', EXTERNAL: 'remote' };

/** Reads an unpacked batch. Throws `TypeError` when it is none. */
export function readSglangEvents(value: unknown): KvEventBatch {
  const batch = readBatch(value);
  const events = readEvents(batch, LAYOUT, (type, fields) => {
    if (type === 'AllBlocksCleared') return { kind: 'cleared' };
    if (type === 'BlockRemoved') return readRemoved(fields, TIERS);
    if (type !== 'BlockStored') return undefined;
    const stored = readStored(fields, TIERS);
    return stored && { ...stored, isKeyed: false, isWholePrefix: true };
  });
  return { at: batch.at, rank: batch.rank, events };
}
