import { describe, expect, it } from 'vitest';
import type { RouterMode } from '../../src/routing/policy.ts';
import { seededRandom } from '../../src/routing/random.ts';
import type { Booking, Router } from '../../src/routing/router.ts';
import { createRoleRouter } from '../../src/routing/router-roles.ts';
import { type ReplayRequest, type ReplayResult, replayTrace } from '../../src/scheduler/replay.ts';
import { hasMooncake, mooncakeRows } from '../helpers/mooncake.ts';

const WORKERS = 4;
const config = { blockSize: 64, totalBlocks: 16_384, maxNumSeqs: 256, maxNumBatchedTokens: 8_192 };
const id = (index: number) => `worker-${index}`;

/** The frontend's own router over the mocker's own scheduler, both in virtual time. */
function replay(mode: RouterMode, seed: number): ReplayResult {
  const router: Router = createRoleRouter('aggregated', {
    mode,
    blockSize: config.blockSize,
    weights: { overlapScoreCredit: 1, prefillLoadScale: 1 },
    temperature: 0,
    ttlMs: 600_000,
    random: seededRandom(seed),
  });
  for (let index = 0; index < WORKERS; index += 1)
    router.addWorker({ id: id(index), generation: 1, totalBlocks: config.totalBlocks });
  const bookings = new Map<number, Booking>();
  const rows = mooncakeRows(3_000);
  return replayTrace({
    rows,
    workers: WORKERS,
    config,
    pick: (_, request) => {
      const routed = { blocks: blocksOf(request), promptTokens: request.promptTokens };
      const nowMs = rows[request.index]!.timestamp;
      const selection = router.select(routed, { nowMs })!;
      bookings.set(request.index, router.book(selection, routed, nowMs));
      return Number(selection.worker.slice('worker-'.length));
    },
    onFirstToken: (request) => bookings.get(request.index)!.firstToken(),
    onFinish: (request) => bookings.get(request.index)!.end(),
  });
}

/** 53 bits of each key: enough for the router's own index, which wants safe integers. */
function blocksOf({ keys }: ReplayRequest): Float64Array {
  return Float64Array.from(
    { length: keys.count },
    (_, block) => (keys.hi[block]! & 0x1fffff) * 2 ** 32 + (keys.lo[block]! >>> 0),
  );
}

describe.skipIf(!hasMooncake)('routing 3,000 rows of the Mooncake conversation trace in virtual time', () => {
  it('finds more cached tokens with kv than with round robin, and spreads the work', () => {
    const kv = replay('kv', 1);
    const roundRobin = replay('round-robin', 1);
    expect(kv.outputTokens).toBe(roundRobin.outputTokens);
    expect(kv.cachedTokens).toBeGreaterThan(1.5 * roundRobin.cachedTokens);
    // Block 0 is in every request of this trace: it must not pull everything to one worker.
    const counts = Array.from(
      { length: WORKERS },
      (_, worker) => kv.worker.filter((chosen) => chosen === worker).length,
    );
    expect(Math.min(...counts)).toBeGreaterThan(3_000 / WORKERS / 2);
  });

  it('gives the same result for the same seed', () => {
    const [first, second] = [replay('kv', 7), replay('kv', 7)];
    expect([...first.worker]).toEqual([...second.worker]);
    expect(first.cachedTokens).toBe(second.cachedTokens);
  });
});
