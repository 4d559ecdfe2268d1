import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { kvEventDecoder } from '../../../src/engines/kv-event-payload.ts';
import type { KvEvent, StoredBlocks } from '../../../src/engines/kv-events.ts';
import { readSglangEvents } from '../../../src/engines/sglang/kv-events.ts';
import { readVllmEvents } from '../../../src/engines/vllm/kv-events.ts';
import { recordedFrames } from '../../helpers/recorded-kv-events.ts';

const packr = new Packr({ useRecords: false });
const vllm = await kvEventDecoder(readVllmEvents);
const sglang = await kvEventDecoder(readSglangEvents);
const isStored = (event: KvEvent): event is StoredBlocks => event.kind === 'stored';

describe('events of a real vLLM', () => {
  const batches = recordedFrames('sub').map((frames) => vllm(frames[2]!));
  const events = batches.flatMap((batch) => batch.events);

  it('tell the rank, and blocks whose tokens add up', () => {
    expect(new Set(batches.map(({ rank }) => rank))).toEqual(new Set([0]));
    const stored = events.filter(isStored);
    expect(stored.length).toBeGreaterThan(10);
    for (const { hashes, tokens, blockSize, tier, group, isKeyed, isWholePrefix } of stored) {
      expect(tokens).toHaveLength(hashes.length * blockSize);
      expect({ blockSize, tier, group, isKeyed, isWholePrefix }).toEqual({
        ...{ blockSize: 128, tier: 'gpu', group: 0, isKeyed: false, isWholePrefix: true },
      });
      for (const hash of hashes) expect(hash > 0n && hash < 2n ** 64n).toBe(true);
    }
  });

  it('chain blocks by handles, and remove and clear what was stored', () => {
    const known = new Set<bigint>();
    for (const event of events) {
      if (event.kind === 'cleared') known.clear();
      else if (event.kind === 'removed') for (const hash of event.hashes) expect(known.delete(hash)).toBe(true);
      else {
        if (event.parent !== null) expect(known.has(event.parent)).toBe(true);
        for (const hash of event.hashes) known.add(hash);
      }
    }
    expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['stored', 'removed', 'cleared']));
  });
});

describe('what other versions and engines write', () => {
  const small = 5;
  const negative = -3_488_128_144_981_237_669n;
  const unsigned = BigInt.asUintN(64, negative);

  it('vLLM before 0.24: arrays; a digest counts by its last eight bytes', () => {
    const digest = Buffer.alloc(32, 1);
    digest.writeBigUInt64BE(unsigned, 24);
    const stored = ['BlockStored', [digest], null, [1, 2], 2, null, 'CPU', 'adapter', [null], 1, 'sliding_window'];
    expect(vllm(packr.pack([1.5, [stored, ['BlockRemoved', [small], 'STORAGE'], ['AllBlocksCleared']]]))).toEqual({
      at: 1.5,
      rank: null,
      events: [
        {
          ...{ kind: 'stored', hashes: [unsigned], parent: null, tokens: Uint32Array.of(1, 2), blockSize: 2 },
          ...{ tier: 'cpu', group: 1, isKeyed: true, isWholePrefix: false },
        },
        { kind: 'removed', hashes: [5n], tier: 'disk', group: null },
        { kind: 'cleared' },
      ],
    });
  });

  it('vLLM later: unknown fields, types and media are passed over', () => {
    const stored = {
      type: 'BlockStored',
      block_hashes: [small],
      token_ids: [7],
      block_size: 1,
      medium: 'MOON',
      session_id: 'x',
    };
    expect(vllm(packr.pack([2, [stored, { type: 'BlockMoved' }, 17], 3])).events).toMatchObject([
      { hashes: [5n], parent: null, tier: 'remote', isKeyed: false },
    ]);
  });

  it('vLLM with KV cache in host memory: blocks of which nothing is told are passed over, the others are read', () => {
    const told = { type: 'BlockStored', block_hashes: [1], token_ids: [7, 8], block_size: 2, medium: 'CPU' };
    const untold = { type: 'BlockStored', block_hashes: [2], parent_block_hash: null, token_ids: [] };
    const events = [
      told,
      { ...untold, block_size: 0, medium: 'CPU', group_idx: 0 },
      { ...untold, block_size: 16, medium: 'STORAGE' },
      { type: 'BlockRemoved', block_hashes: [1], medium: 'CPU' },
    ];
    expect(vllm(packr.pack([2, events, 0])).events).toMatchObject([
      { kind: 'stored', hashes: [1n], tier: 'cpu' },
      { kind: 'removed', hashes: [1n], tier: 'cpu' },
    ]);
  });

  it('knows a salted block by its extra keys', () => {
    const stored = {
      type: 'BlockStored',
      block_hashes: [1, 2],
      token_ids: [7, 8],
      block_size: 1,
      extra_keys: [['salt'], null],
    };
    expect(vllm(packr.pack([2, [stored]])).events).toMatchObject([{ isKeyed: true }]);
  });

  it('SGLang: signed hashes, one page an event, tiers of its own, a page cut short', () => {
    const events = [
      ['BlockStored', [negative], null, [1, 2, 3, 4], 4, null, 'GPU'],
      ['BlockStored', [small], negative, [5, 6], 2, null, 'CPU_PINNED'],
      ['BlockRemoved', [negative, small], 'EXTERNAL'],
      ['AllBlocksCleared'],
    ];
    expect(sglang(packr.pack([9, events, 1]))).toMatchObject({
      rank: 1,
      events: [
        { hashes: [unsigned], parent: null, tier: 'gpu', blockSize: 4 },
        { hashes: [5n], parent: unsigned, tier: 'cpu', tokens: Uint32Array.of(5, 6) },
        { kind: 'removed', hashes: [unsigned, 5n], tier: 'remote' },
        { kind: 'cleared' },
      ],
    });
  });

  it('SGLang with speculative decoding: pairs of tokens say nothing of prompts', () => {
    const pairs = [1, 2].map((token) => [token, token + 1]);
    expect(sglang(packr.pack([9, [['BlockStored', [small], null, pairs, 2]]])).events).toEqual([]);
  });

  it.each([
    ['not msgpack', Buffer.from([0xc1])],
    ['no batch', packr.pack({ type: 'BlockStored' })],
    ['no hashes', packr.pack([1, [['BlockRemoved', 'x']]])],
    ['no size', packr.pack([1, [{ type: 'BlockStored', block_hashes: [1], token_ids: [1] }]])],
  ])('refuses what is %s', (_, payload) => {
    expect(() => vllm(payload)).toThrow(TypeError);
  });
});
