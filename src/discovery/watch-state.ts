/*
 * What one observer knows of each name, and the events that follow from what it sees in the store.
 *
 *                    record, not seen before: upsert
 *   (unknown) ────────────────────────────────────────────► live ◄─┐ counter moved; fields changed: upsert
 *       │                                                   │  ▲ └──┘
 *       │ tombstone             counter stood still for one │  │ counter moves, or the record
 *       │                       TTL, or the record is gone: │  │ is there again: upsert
 *       ▼         tombstone: removed                 lapsed ▼  │
 *   withdrawn ◄─────────────────────────────── live, lapsed ───┘
 *
 *   A record of a newer generation, from any state: removed (unless withdrawn), then live with an upsert.
 *   A record of an older generation is ignored, unless the known one's record has been gone for ten TTLs. A withdrawn
 *   generation comes back only without its tombstone, and is forgotten ten TTLs after that was last seen.
 *
 * Time is the observer's own and passed in. A counter counts as standing still only while the observer was looking: a gap
 * between full observations longer than half a TTL (it was stopped, or the store was away) is taken off.
 */
import type { DiscoveryEvent, InstanceRecord } from './discovery.ts';
import { isSameInstance } from './record-codec.ts';

/** How many TTLs a tombstone lives, and how long an observer remembers what is gone. */
export const TOMBSTONE_TTLS = 10;

/** What the store holds for one (name, generation). */
export interface Sighting {
  name: string;
  generation: number;
  /** Null: there is none. `unreadable`: something lies there; the clock of what was known runs on. */
  record: InstanceRecord | 'unreadable' | null;
  tombstone: boolean;
}

export interface Observation {
  /** True: everything that is not in `sightings` does not exist. False: only these keys were looked at. */
  complete: boolean;
  sightings: readonly Sighting[];
}

interface Known {
  generation: number;
  phase: 'live' | 'lapsed' | 'withdrawn';
  record: InstanceRecord | null;
  isPresent: boolean;
  /** When the counter was last seen to move. */
  movedAtMs: number;
  /** When it was last seen withdrawn, or vanished. */
  goneAtMs: number;
}

/** State machine of one watch; see the diagram above. */
export class WatchState {
  readonly #ttlMs: number;
  readonly #known = new Map<string, Known>();
  #isSynced = false;
  #failure: string | null = null;
  #observedAtMs = 0;

  constructor(options: { ttlMs: number }) {
    this.#ttlMs = options.ttlMs;
  }

  /** Takes what was seen at `nowMs` and returns what changed, in order. */
  observe(observation: Observation, nowMs: number): DiscoveryEvent[] {
    const events: DiscoveryEvent[] = [];
    if (observation.complete) {
      if (this.#failure !== null) events.push({ type: 'store', message: null });
      this.#failure = null;
      this.#forgiveGap(nowMs);
    }
    const groups = Map.groupBy(observation.sightings, (sighting) => sighting.name);
    for (const [name, sightings] of groups) this.#observeName(name, sightings, observation.complete, nowMs, events);
    if (observation.complete) {
      for (const [name, known] of this.#known) {
        if (!groups.has(name)) vanish(name, known, nowMs, events);
        this.#expire(name, known, nowMs, events);
      }
      if (!this.#isSynced) events.push({ type: 'synced' });
      this.#isSynced = true;
    }
    return events;
  }

  /** The store could not be read: nothing changes but its own state. */
  fail(message: string): DiscoveryEvent[] {
    if (this.#failure === message) return [];
    this.#failure = message;
    return [{ type: 'store', message }];
  }

  /** The earliest moment at which an instance lapses unless its counter moves; `undefined` when none can. */
  get nextLapseMs(): number | undefined {
    let next: number | undefined;
    for (const { phase, movedAtMs } of this.#known.values()) {
      if (phase === 'live') next = Math.min(next ?? Number.POSITIVE_INFINITY, movedAtMs + this.#ttlMs);
    }
    return next;
  }

  #observeName(
    name: string,
    sightings: readonly Sighting[],
    complete: boolean,
    nowMs: number,
    events: DiscoveryEvent[],
  ): void {
    let known = this.#known.get(name);
    const buried = Math.max(-1, ...sightings.map((sighting) => (sighting.tombstone ? sighting.generation : -1)));
    if (buried >= 0 && buried >= (known?.generation ?? 0)) {
      if (known && known.phase !== 'withdrawn') events.push({ type: 'removed', name, generation: known.generation });
      known = {
        generation: buried,
        phase: 'withdrawn',
        record: null,
        isPresent: false,
        movedAtMs: nowMs,
        goneAtMs: nowMs,
      };
      this.#known.set(name, known);
    }
    const record = newestRecord(sightings, buried);
    if (record && (!known || record.generation > known.generation || this.#isLongGone(known, nowMs))) {
      if (known && known.phase !== 'withdrawn' && known.generation !== record.generation) {
        events.push({ type: 'removed', name, generation: known.generation });
      }
      this.#known.set(name, appear(record, nowMs, events));
    } else if (record && known && record.generation === known.generation) {
      if (known.phase === 'withdrawn') this.#known.set(name, appear(record, nowMs, events));
      else advance(known, record, nowMs, events);
    } else if (known) {
      const seen = sightings.find((sighting) => sighting.generation === known.generation);
      if (seen ? seen.record === null : complete) vanish(name, known, nowMs, events);
    }
  }

  #expire(name: string, known: Known, nowMs: number, events: DiscoveryEvent[]): void {
    if (known.phase === 'live' && nowMs >= known.movedAtMs + this.#ttlMs) {
      known.phase = 'lapsed';
      events.push({ type: 'lapsed', name, generation: known.generation });
    }
    if (known.phase === 'withdrawn' && this.#isLongGone(known, nowMs)) this.#known.delete(name);
  }

  #isLongGone(known: Known, nowMs: number): boolean {
    return !known.isPresent && nowMs - known.goneAtMs >= TOMBSTONE_TTLS * this.#ttlMs;
  }

  #forgiveGap(nowMs: number): void {
    const unseenMs = nowMs - this.#observedAtMs - this.#ttlMs / 2;
    this.#observedAtMs = nowMs;
    if (unseenMs <= 0) return;
    for (const known of this.#known.values()) known.movedAtMs = Math.min(nowMs, known.movedAtMs + unseenMs);
  }
}

function newestRecord(sightings: readonly Sighting[], above: number): InstanceRecord | undefined {
  let newest: InstanceRecord | undefined;
  for (const { record, generation } of sightings) {
    if (record === null || record === 'unreadable' || generation <= above) continue;
    if (!newest || generation > newest.generation) newest = record;
  }
  return newest;
}

function appear(record: InstanceRecord, nowMs: number, events: DiscoveryEvent[]): Known {
  events.push({ type: 'upsert', instance: record });
  return {
    generation: record.generation,
    phase: 'live',
    record,
    isPresent: true,
    movedAtMs: nowMs,
    goneAtMs: nowMs,
  };
}

function advance(known: Known, record: InstanceRecord, nowMs: number, events: DiscoveryEvent[]): void {
  const hasChanged = known.record === null || !isSameInstance(known.record, record);
  const hasMoved = hasChanged || !known.isPresent || record.counter !== known.record?.counter;
  const isBack = known.phase === 'lapsed' && hasMoved;
  if (hasMoved) known.movedAtMs = nowMs;
  if (isBack) known.phase = 'live';
  if (isBack || hasChanged) events.push({ type: 'upsert', instance: record });
  known.record = record;
  known.isPresent = true;
}

function vanish(name: string, known: Known, nowMs: number, events: DiscoveryEvent[]): void {
  if (known.phase === 'withdrawn' || !known.isPresent) return;
  known.isPresent = false;
  known.goneAtMs = nowMs;
  if (known.phase === 'lapsed') return;
  known.phase = 'lapsed';
  events.push({ type: 'lapsed', name, generation: known.generation });
}
