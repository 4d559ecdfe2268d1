import type { BlockKeys } from '../scheduler/block-keys.ts';
import type { BlockEvents } from '../scheduler/block-pool.ts';
import type { Generation } from './generation.ts';

/** Batches kept for replay, as vLLM does. */
const KEPT_BATCHES = 10_000;
const SEQUENCE_BYTES = 8;
const TOPIC = Buffer.alloc(0);
const END = Buffer.alloc(SEQUENCE_BYTES, 0xff);

/** vLLM's event on the wire: a map with its type first. */
type WireEvent = StoredEvent | { type: 'BlockRemoved'; block_hashes: bigint[]; medium: 'GPU'; group_idx: 0 };

interface StoredEvent {
  type: 'BlockStored';
  block_hashes: bigint[];
  parent_block_hash: bigint | null;
  token_ids: number[];
  block_size: number;
  lora_id: null;
  medium: 'GPU';
  lora_name: null;
  extra_keys: null[];
  group_idx: 0;
  kv_cache_spec_kind: 'full_attention';
}

/** Where events go. `send` gets the frames of one published message. */
export interface KvEventOutput {
  send(frames: readonly Buffer[]): void;
  pack(value: unknown): Buffer;
  /** Unix seconds. */
  now(): number;
}

/**
 * Publishes what the KV cache stores and evicts in vLLM's form: what happened within one step is one batch, neighbouring blocks of
 * one sequence one event. Numbers count from 0 and begin anew with the process.
 */
export class KvEventPublisher implements BlockEvents {
  readonly #blockSize: number;
  readonly #output: KvEventOutput;
  readonly #owners = new WeakMap<BlockKeys, Generation>();
  readonly #kept: Buffer[][] = [];
  #pending: WireEvent[] = [];
  /** The sequence that the last pending event belongs to, and the block after it. */
  #open: { keys: BlockKeys; next: number } | undefined;
  #sequence = 0;

  constructor(blockSize: number, output: KvEventOutput) {
    this.#blockSize = blockSize;
    this.#output = output;
  }

  /** Whose tokens stand behind the keys of a sequence. */
  track(generation: Generation): void {
    this.#owners.set(generation.keys, generation);
  }

  stored(keys: BlockKeys, index: number): void {
    const owner = this.#owners.get(keys);
    if (!owner) return;
    const tokens = tokensOf(owner, index * this.#blockSize, (index + 1) * this.#blockSize);
    const last = this.#pending.at(-1);
    if (this.#open?.keys === keys && this.#open.next === index && last?.type === 'BlockStored') {
      last.block_hashes.push(hashOf(keys, index));
      last.token_ids.push(...tokens);
      last.extra_keys.push(null);
    } else {
      this.#add({
        type: 'BlockStored',
        block_hashes: [hashOf(keys, index)],
        parent_block_hash: index === 0 ? null : hashOf(keys, index - 1),
        token_ids: tokens,
        block_size: this.#blockSize,
        lora_id: null,
        medium: 'GPU',
        lora_name: null,
        extra_keys: [null],
        group_idx: 0,
        kv_cache_spec_kind: 'full_attention',
      });
    }
    this.#open = { keys, next: index + 1 };
  }

  removed(lo: number, hi: number): void {
    this.#open = undefined;
    this.#add({ type: 'BlockRemoved', block_hashes: [join(lo, hi)], medium: 'GPU', group_idx: 0 });
  }

  /** The frames that answer a replay request for everything from `sequence` on, each without the identity of who asks. */
  replay(sequence: number): Buffer[][] {
    const first = this.#sequence - this.#kept.length;
    const batches = this.#kept.slice(Math.max(0, sequence - first)).map((frames) => [Buffer.alloc(0), ...frames]);
    return [...batches, [Buffer.alloc(0), TOPIC, END, Buffer.alloc(0)]];
  }

  #add(event: WireEvent): void {
    if (this.#pending.length === 0) setImmediate(() => this.#flush());
    this.#pending.push(event);
  }

  #flush(): void {
    const number = Buffer.alloc(SEQUENCE_BYTES);
    number.writeBigUInt64BE(BigInt(this.#sequence));
    const frames = [TOPIC, number, this.#output.pack([this.#output.now(), this.#pending, 0])];
    this.#sequence += 1;
    this.#pending = [];
    this.#open = undefined;
    this.#kept.push(frames);
    if (this.#kept.length > KEPT_BATCHES) this.#kept.shift();
    this.#output.send(frames);
  }
}

function tokensOf({ options, tokens }: Generation, start: number, end: number): number[] {
  const { prompt } = options;
  return Array.from({ length: end - start }, (_, offset) => {
    const index = start + offset;
    return index < prompt.length ? prompt[index]! : tokens[index - prompt.length]!;
  });
}

const hashOf = (keys: BlockKeys, index: number): bigint => join(keys.lo[index]!, keys.hi[index]!);
const join = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
