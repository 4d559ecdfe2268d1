import { pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type {
  CommitRecord,
  Discovery,
  DiscoveryEvent,
  DiscoveryListing,
  DiscoveryOptions,
  Instance,
  InstanceRecord,
  Lease,
} from './discovery.ts';
import { Hints } from './hints.ts';
import { RecordLease } from './lease.ts';
import { formatCommit, instanceOf, parseCommit } from './record-codec.ts';
import { encodeSegment, formatRecordKey, parseRecordKey, type RecordKey } from './record-key.ts';
import { type RecordStore, UnreadableRecordError, unreachable } from './record-store.ts';
import { readStored, type Survey, surveyAll, surveyKeys } from './survey.ts';
import { TOMBSTONE_TTLS, WatchState } from './watch-state.ts';

/** Longest time between two full lists of a watch. */
const MAX_LIST_INTERVAL_MS = 2_500;
const MIN_LIST_INTERVAL_MS = 20;

export interface RecordDiscoveryOptions extends DiscoveryOptions {
  /** False: watches live from full lists alone. */
  useHints?: boolean;
}

/** Discovery over any record store: leases, lapses, tombstones and events are the same for every backend. */
export class RecordDiscovery implements Discovery {
  readonly #store: RecordStore;
  readonly #deployment: string;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #useHints: boolean;
  readonly #closed = new AbortController();
  readonly #leases = new Set<RecordLease>();
  /** Tombstones seen by this handle, and since when on its own clock. */
  readonly #buried = new Map<string, { text: string; sinceMs: number }>();

  constructor(store: RecordStore, options: RecordDiscoveryOptions) {
    this.#store = store;
    this.#deployment = options.deployment;
    this.#ttlMs = options.ttlMs;
    this.#now = options.now ?? (() => performance.now());
    this.#useHints = options.useHints ?? true;
  }

  open(): Promise<void> {
    return this.#store.open();
  }

  async register(instance: Instance, options: { signal?: AbortSignal }): Promise<Lease> {
    this.#assertOwn(instance.deployment);
    const { name, generation } = instance;
    const key = formatRecordKey({ kind: 'instance', name, generation });
    const [older, before] = await Promise.all([this.#olderKeys(name, generation), readStored(this.#store, key)]);
    const counter = before ? before.record.counter + 1 : Math.floor(Math.random() * 2 ** 31);
    const record: InstanceRecord = { ...instanceOf(instance), state: 'ready', counter };
    const lease = new RecordLease(
      {
        store: this.#store,
        ttlMs: this.#ttlMs,
        now: this.#now,
        closed: this.#closed.signal,
        onBuried: (tombstone, text) => {
          this.#leases.delete(lease);
          void this.#removeTombstoneLater(tombstone, text);
        },
      },
      record,
      (before?.lease.number ?? 0) + 1,
    );
    await lease.begin(options.signal);
    this.#leases.add(lease);
    await this.#removeAll(older);
    return lease;
  }

  async list(): Promise<DiscoveryListing> {
    const survey = await this.#survey();
    const newest = new Map<string, InstanceRecord>();
    const tombstones: DiscoveryListing['tombstones'] = [];
    for (const { name, generation, record, tombstone } of survey.observation.sightings) {
      if (tombstone) tombstones.push({ name, generation });
      if (record === null || record === 'unreadable' || tombstone) continue;
      if (generation > (newest.get(name)?.generation ?? -1)) newest.set(name, record);
    }
    const instances = [...newest.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return { instances, tombstones, unreadable: survey.unreadable };
  }

  async *watch(options: { signal: AbortSignal }): AsyncGenerator<DiscoveryEvent, void, undefined> {
    const signal = AbortSignal.any([options.signal, this.#closed.signal]);
    if (signal.aborted) return;
    const state = new WatchState({ ttlMs: this.#ttlMs });
    const intervalMs = Math.max(MIN_LIST_INTERVAL_MS, Math.min(MAX_LIST_INTERVAL_MS, this.#ttlMs / 4));
    using hints = new Hints(this.#store, this.#useHints);
    let listDueMs = Number.NEGATIVE_INFINITY;
    let isFailing = false;
    let slow: Promise<Survey> | undefined;
    while (!signal.aborted) {
      const { keys, everything } = hints.take();
      const isLapseDue = !isFailing && (state.nextLapseMs ?? Number.POSITIVE_INFINITY) <= this.#now();
      const isFull = everything || isFailing || isLapseDue || performance.now() >= listDueMs;
      let events: DiscoveryEvent[] = [];
      try {
        if (isFull) slow ??= hints.renew().then(() => this.#survey());
        const survey = await within(slow ?? surveyKeys(this.#store, this.#deployment, keys), this.#ttlMs, signal);
        slow = undefined;
        isFailing = false;
        events = state.observe(survey.observation, this.#now());
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof TimeoutError)) slow = undefined;
        isFailing = true;
        events = state.fail(messageOf(error));
      }
      if (isFull || isFailing) listDueMs = performance.now() + intervalMs;
      for (const event of events) {
        yield event;
        if (signal.aborted) return;
      }
      const untilLapseMs = isFailing ? intervalMs : (state.nextLapseMs ?? Number.POSITIVE_INFINITY) - this.#now();
      const untilListMs = listDueMs - performance.now();
      await hints.wait(Math.max(0, Math.min(untilListMs, untilLapseMs)), signal);
    }
  }

  async commit(record: CommitRecord): Promise<CommitRecord> {
    this.#assertOwn(record.deployment);
    const { generation, revision = 0 } = record;
    const key = formatRecordKey({ kind: 'commit', generation, revision });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await this.#store.create(key, formatCommit(record))) return { ...record };
      const standing = await this.readCommit(generation, revision);
      if (standing) return standing;
    }
    throw unreachable(`commit record ${key} of ${this.#deployment} keeps vanishing`);
  }

  async readCommit(generation: number, revision = 0): Promise<CommitRecord | undefined> {
    const key = formatRecordKey({ kind: 'commit', generation, revision });
    let text: string | undefined;
    try {
      text = await this.#store.read(key);
    } catch (error) {
      if (!(error instanceof UnreadableRecordError)) throw error;
      throw unreachable(`commit record ${key} of ${this.#deployment} is unreadable: ${error.message}`, error);
    }
    if (text === undefined) {
      await this.#store.assertPresent();
      return undefined;
    }
    const record = parseCommit(text);
    if (typeof record === 'string') {
      throw unreachable(`commit record ${key} of ${this.#deployment} is unreadable: ${record}`);
    }
    const isAsked = record.generation === generation && (record.revision ?? 0) === revision;
    if (record.deployment !== this.#deployment || !isAsked) {
      throw unreachable(`commit record ${key} of ${this.#deployment} belongs to something else`);
    }
    return record;
  }

  async clear(options?: { forGood: boolean }): Promise<void> {
    this.#buried.clear();
    await this.#store.clear(options);
  }

  /** Ends watches and refreshing without withdrawing anything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    const idle = Promise.all([...this.#leases].map((lease) => lease.idle())).then(() => {});
    await within(idle, this.#ttlMs).catch(() => {});
    this.#leases.clear();
    this.#store.close?.();
  }

  /** Reads everything, and removes tombstones that this handle has seen for long enough. */
  async #survey(): Promise<Survey> {
    const survey = await surveyAll(this.#store, this.#deployment);
    const nowMs = this.#now();
    for (const key of this.#buried.keys()) if (!survey.tombstones.has(key)) this.#buried.delete(key);
    for (const [key, text] of survey.tombstones) {
      const seen = this.#buried.get(key);
      if (seen?.text !== text) this.#buried.set(key, { text, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= TOMBSTONE_TTLS * this.#ttlMs) await this.#removeGrave(key, survey);
    }
    return survey;
  }

  /** Removes a tombstone after the records it hides: else they would come back to life. */
  async #removeGrave(key: string, survey: Survey): Promise<void> {
    const grave = parseRecordKey(key);
    if (grave?.kind !== 'tombstone') return;
    const hidden = survey.observation.sightings
      .filter(
        ({ name, generation, record }) => name === grave.name && generation <= grave.generation && record !== null,
      )
      .map(({ name, generation }): RecordKey => ({ kind: 'instance', name, generation }));
    await this.#removeAll([...hidden.map(formatRecordKey), key]);
  }

  async #removeTombstoneLater(key: string, text: string): Promise<void> {
    await pause(TOMBSTONE_TTLS * this.#ttlMs, this.#closed.signal);
    if (this.#closed.signal.aborted) return;
    try {
      if ((await this.#store.read(key)) === text) await this.#store.remove(key);
    } catch {
      // Whoever lists next removes it.
    }
  }

  /** Removes what nobody needs; what cannot be removed now is removed by whoever comes later. */
  async #removeAll(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      try {
        await this.#store.remove(key);
      } catch {
        return;
      }
    }
  }

  /** Keys of earlier generations of `name`. Throws `SUPERSEDED` when a later one is stored. */
  async #olderKeys(name: string, generation: number): Promise<string[]> {
    const older: string[] = [];
    const beginnings = [`instance.${encodeSegment(name)}.`, `tombstone.${encodeSegment(name)}.`];
    for (const text of await (this.#store.keysWith?.(beginnings) ?? this.#store.keys())) {
      const key = parseRecordKey(text);
      if (!key || key.kind === 'commit' || key.name !== name) continue;
      if (key.generation < generation) older.push(text);
      if (key.generation > generation) {
        throw new DynamoError(
          'SUPERSEDED',
          `${name} generation ${generation} cannot be registered: generation ${key.generation} already is`,
          { hint: 'A later start of this process has taken its place.' },
        );
      }
    }
    return older;
  }

  #assertOwn(deployment: string): void {
    if (deployment === this.#deployment) return;
    throw new TypeError(`record of deployment ${deployment} given to the discovery of ${this.#deployment}`);
  }
}

class TimeoutError extends Error {}

/** The promise's outcome, unless it takes longer than `ms` or the signal aborts: then it throws, and the promise goes on unheard. */
function within<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(`the store has not answered within ${ms} ms`)), ms);
    const onAbort = () => reject(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  });
}
