import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiscoveryEvent, InstanceRecord } from '../../../src/discovery/discovery.ts';
import { type Sighting, TOMBSTONE_TTLS, WatchState } from '../../../src/discovery/watch-state.ts';

const TTL = 1_000;

function record(
  name: string,
  generation: number,
  counter: number,
  fields: Partial<InstanceRecord> = {},
): InstanceRecord {
  return {
    deployment: 'd',
    name,
    generation,
    role: 'decode',
    host: 'local',
    model: 'm',
    engine: 'mocker',
    url: 'http://127.0.0.1:1',
    processStart: null,
    kvBlockSize: null,
    kvTotalBlocks: null,
    maxModelLen: null,
    maxNumSeqs: null,
    maxNumBatchedTokens: null,
    kvTransfer: null,
    state: 'ready',
    counter,
    ...fields,
  };
}

const seen = (stored: InstanceRecord): Sighting => ({
  name: stored.name,
  generation: stored.generation,
  record: stored,
  tombstone: false,
});
const tombstone = (name: string, generation: number): Sighting => ({ name, generation, record: null, tombstone: true });
const all = (...sightings: Sighting[]) => ({ complete: true, sightings });
const some = (...sightings: Sighting[]) => ({ complete: false, sightings });
const brief = (events: DiscoveryEvent[]) =>
  events.map((event) => {
    if (event.type === 'upsert') return `upsert ${event.instance.name} ${event.instance.generation}`;
    if (event.type === 'store') return `store ${event.message}`;
    return event.type === 'synced' ? 'synced' : `${event.type} ${event.name} ${event.generation}`;
  });

/** A state that looks every TTL/4, as a watch does. */
function machine() {
  const state = new WatchState({ ttlMs: TTL });
  let now = 0;
  const look = (observation: { complete: boolean; sightings: Sighting[] }, advanceMs = TTL / 4) => {
    now += advanceMs;
    return brief(state.observe(observation, now));
  };
  return { state, look };
}

describe('WatchState', () => {
  it('delivers what exists, then synced once', () => {
    const { look } = machine();
    expect(look(all(seen(record('a', 1, 1)), seen(record('b', 1, 1))))).toEqual(['upsert a 1', 'upsert b 1', 'synced']);
    expect(look(all(seen(record('a', 1, 2)), seen(record('b', 1, 2))))).toEqual([]);
  });

  it('lapses when a counter stands still for a TTL, and comes back when it moves', () => {
    const { look, state } = machine();
    look(all(seen(record('a', 1, 7))));
    expect(state.nextLapseMs).toBe(TTL / 4 + TTL);
    expect([1, 2, 3].flatMap(() => look(all(seen(record('a', 1, 7)))))).toEqual([]);
    expect(look(all(seen(record('a', 1, 7))))).toEqual(['lapsed a 1']);
    expect(look(all(seen(record('a', 1, 7))))).toEqual([]);
    expect(look(all(seen(record('a', 1, 6))))).toEqual(['upsert a 1']);
  });

  it('does not judge a lapse from a look at single keys', () => {
    const { look } = machine();
    look(all(seen(record('a', 1, 7))));
    expect(look(some(seen(record('a', 1, 7))), 10 * TTL)).toEqual([]);
  });

  it('takes off the time it was not looking', () => {
    const { look } = machine();
    look(all(seen(record('a', 1, 7))));
    expect(look(all(seen(record('a', 1, 7))), 100 * TTL)).toEqual([]);
    expect(look(all(seen(record('a', 1, 7))))).toEqual([]);
    expect(look(all(seen(record('a', 1, 7))))).toEqual(['lapsed a 1']);
  });

  it('calls a vanished record a lapse, a buried one removed', () => {
    const { look } = machine();
    look(all(seen(record('a', 1, 1)), seen(record('b', 1, 1))));
    expect(look(some({ name: 'a', generation: 1, record: null, tombstone: false }))).toEqual(['lapsed a 1']);
    expect(look(all(tombstone('b', 1)))).toEqual(['removed b 1']);
    expect(look(all(seen(record('a', 1, 1)), tombstone('b', 1)))).toEqual(['upsert a 1']);
  });

  it('lets a tombstone hide its record and everything older', () => {
    const { look } = machine();
    look(all(seen(record('a', 2, 1))));
    expect(look(all(seen(record('a', 2, 2)), { ...tombstone('a', 2), record: record('a', 2, 2) }))).toEqual([
      'removed a 2',
    ]);
    expect(look(some(seen(record('a', 1, 9))))).toEqual([]);
    expect(look(all(seen(record('a', 2, 3))))).toEqual(['upsert a 2']);
  });

  it('replaces an older generation, and never goes back', () => {
    const { look } = machine();
    look(all(seen(record('a', 1, 1))));
    expect(look(all(seen(record('a', 1, 2)), seen(record('a', 2, 1))))).toEqual(['removed a 1', 'upsert a 2']);
    expect(look(all(seen(record('a', 1, 3)), seen(record('a', 2, 2))))).toEqual([]);
    expect(look(all(seen(record('a', 1, 4))))).toEqual(['lapsed a 2']);
  });

  it('reports changed fields, and keeps what it knows while a record is unreadable', () => {
    const { look } = machine();
    look(all(seen(record('a', 1, 1))));
    expect(look(all(seen(record('a', 1, 1, { state: 'draining' }))))).toEqual(['upsert a 1']);
    const garbage: Sighting = { name: 'a', generation: 1, record: 'unreadable', tombstone: false };
    expect([1, 2, 3].flatMap(() => look(all(garbage)))).toEqual([]);
    expect(look(all(garbage))).toEqual(['lapsed a 1']);
  });

  it('reports a store that fails once, and once that it is back', () => {
    const { look, state } = machine();
    expect(brief(state.fail('gone'))).toEqual(['store gone']);
    expect(brief(state.fail('gone'))).toEqual([]);
    expect(look(all(seen(record('a', 1, 1))))).toEqual(['store null', 'upsert a 1', 'synced']);
  });

  it('lets an older generation in once the newer one has been gone for ten TTLs', () => {
    const { look } = machine();
    look(all(seen(record('a', 5, 1))));
    look(all());
    expect(look(all(seen(record('a', 1, 1))))).toEqual([]);
    expect(look(all(seen(record('a', 1, 2))), TOMBSTONE_TTLS * TTL)).toEqual(['removed a 5', 'upsert a 1']);
  });

  it('forgets a withdrawal ten TTLs after its tombstone was last seen', () => {
    const { look } = machine();
    look(all(tombstone('a', 5)));
    for (let step = 0; step < TOMBSTONE_TTLS * 4 - 1; step += 1) look(all());
    expect(look(some(seen(record('a', 1, 1))), 0)).toEqual([]);
    look(all());
    expect(look(all(seen(record('a', 1, 1))))).toEqual(['upsert a 1']);
  });

  it('keeps its promises over any history of the store', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b'),
      action: fc.constantFrom('register', 'refresh', 'drain', 'bury', 'vanish', 'sweep', 'nothing'),
      complete: fc.boolean(),
      advanceMs: fc.constantFrom(0, 10, TTL / 4, TTL, 20 * TTL),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const state = new WatchState({ ttlMs: TTL });
        const store = new Map<string, Sighting>();
        const newest = new Map<string, number>();
        // What a consumer that applies the events believes.
        const believed = new Map<string, { generation: number; lapsed: boolean; draining: boolean }>();
        let now = 0;
        let synced = 0;
        const apply = (events: DiscoveryEvent[]) => {
          for (const event of events) {
            if (event.type === 'synced') synced += 1;
            if (event.type === 'store' || event.type === 'synced') continue;
            if (event.type === 'upsert') {
              const { name, generation, state: phase } = event.instance;
              const before = believed.get(name);
              // A newer generation is always preceded by the removal of the older one.
              expect(before === undefined || before.generation === generation).toBe(true);
              believed.set(name, { generation, lapsed: false, draining: phase === 'draining' });
            } else {
              const known = believed.get(event.name);
              expect(known?.generation).toBe(event.generation);
              if (event.type === 'removed') believed.delete(event.name);
              else {
                expect(known!.lapsed).toBe(false);
                known!.lapsed = true;
              }
            }
          }
        };
        const keysOf = (name: string) => [...store].filter(([, sighting]) => sighting.name === name);
        for (const { name, action, complete, advanceMs } of steps) {
          const generation = newest.get(name) ?? 0;
          const key = `${name} ${generation}`;
          const current = store.get(key);
          const stored = current?.record as InstanceRecord | null | undefined;
          if (action === 'register') {
            newest.set(name, generation + 1);
            for (const [old] of keysOf(name)) store.delete(old);
            store.set(`${name} ${generation + 1}`, seen(record(name, generation + 1, 1)));
          } else if (action === 'refresh' && stored) {
            store.set(key, seen({ ...stored, counter: stored.counter + 1 }));
          } else if (action === 'drain' && stored) {
            store.set(key, seen({ ...stored, state: 'draining', counter: stored.counter + 1 }));
          } else if (action === 'bury' && stored) store.set(key, tombstone(name, generation));
          else if (action === 'vanish' && stored) store.delete(key);
          else if (action === 'sweep' && current?.tombstone) store.delete(key);
          now += advanceMs;
          const hinted = store.get(key) ?? { name, generation, record: null, tombstone: false };
          apply(state.observe({ complete, sightings: complete ? [...store.values()] : [hinted] }, now));
          expect(state.nextLapseMs === undefined || Number.isFinite(state.nextLapseMs)).toBe(true);
        }
        apply(state.observe({ complete: true, sightings: [...store.values()] }, now));
        expect(synced).toBe(1);
        for (const name of ['a', 'b']) {
          const live = keysOf(name).find(([, sighting]) => sighting.record !== null)?.[1].record as
            | InstanceRecord
            | undefined;
          const belief = believed.get(name);
          if (live) expect(belief).toMatchObject({ generation: live.generation, draining: live.state === 'draining' });
          else expect(belief === undefined || belief.lapsed).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('never lapses an instance whose counter moves within each TTL of looking', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: TTL / 2 }), { maxLength: 100 }), (gaps) => {
        const state = new WatchState({ ttlMs: TTL });
        let now = -5e8;
        let counter = 0;
        let sinceMoveMs = 0;
        for (const gap of gaps) {
          now += gap;
          sinceMoveMs += gap;
          if (sinceMoveMs + TTL / 2 >= TTL) {
            counter += 1;
            sinceMoveMs = 0;
          }
          const events = state.observe(all(seen(record('a', 1, counter))), now);
          expect(events.filter((event) => event.type === 'lapsed')).toEqual([]);
        }
      }),
    );
  });
});
