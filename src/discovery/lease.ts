/*
 * One registration and its refreshing.
 *
 *   registered ◄──────── a refresh succeeds ────────┐
 *       │ refreshing has failed for a TTL           │
 *       └─────────────────────────────────────────► lost (`lost` resolves; goes on trying)
 *   registered, lost ── a later registration of the same (name, generation), or a tombstone, lies there ──► superseded
 *   registered, lost ── the signal aborts, or the discovery is closed ──► abandoned (the record lapses)
 *   any but superseded ── release() ──► released: tombstone written, record removed
 *
 * superseded resolves `lost` too and writes nothing any more: the record belongs to somebody else.
 */
import { randomBytes } from 'node:crypto';
import { anySignal, pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { InstanceRecord, Lease } from './discovery.ts';
import { formatInstance, isNewerLease, type LeaseMark } from './record-codec.ts';
import { formatRecordKey } from './record-key.ts';
import { type RecordStore, UnreadableRecordError } from './record-store.ts';
import { readStored } from './survey.ts';

/** What a lease needs from the discovery handle it belongs to. */
export interface LeaseContext {
  store: RecordStore;
  ttlMs: number;
  now: () => number;
  /** Aborts when the handle is closed. */
  closed: AbortSignal;
  /** Told of each tombstone written, to remove it in time. */
  onBuried: (key: string, text: string) => void;
}

/** Refreshes of a record within one TTL. */
const REFRESHES_PER_TTL = 3;

export class RecordLease implements Lease {
  readonly lost: Promise<Error>;
  readonly #context: LeaseContext;
  readonly #mark: LeaseMark;
  readonly #instanceKey: string;
  readonly #tombstoneKey: string;
  readonly #stopRefreshing = new AbortController();
  #record: InstanceRecord;
  #resolveLost: (reason: Error) => void = () => {};
  #isSuperseded = false;
  #released: Promise<void> | undefined;
  /** The operation on the store now under way; they run one after another. */
  #last: Promise<unknown> = Promise.resolve();
  #isRefreshing = false;
  #tryingSinceMs: number | undefined;
  #failure: Error | undefined;

  constructor(context: LeaseContext, record: InstanceRecord, number: number) {
    this.#context = context;
    this.#record = record;
    this.#mark = { number, token: randomBytes(6).toString('hex') };
    const { name, generation } = record;
    this.#instanceKey = formatRecordKey({ kind: 'instance', name, generation });
    this.#tombstoneKey = formatRecordKey({ kind: 'tombstone', name, generation });
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
  }

  /** Writes the record and begins to refresh it. Throws if the store does not take it. */
  async begin(signal: AbortSignal | undefined): Promise<void> {
    await this.#context.store.remove(this.#tombstoneKey);
    await this.#write();
    void this.#keepFresh(anySignal(this.#context.closed, this.#stopRefreshing.signal, signal));
  }

  async drain(): Promise<void> {
    this.#record = { ...this.#record, state: 'draining' };
    await this.#inTurn(() => this.#refresh());
    if (this.#isSuperseded) throw new DynamoError('LEASE_LOST', `${this.#title} is registered by another owner`);
  }

  release(): Promise<void> {
    this.#stopRefreshing.abort();
    this.#released ??= this.#inTurn(() => this.#bury()).catch((error) => {
      this.#released = undefined;
      throw error;
    });
    return this.#released;
  }

  /** Resolves when nothing of this lease is under way. */
  async idle(): Promise<void> {
    await this.#last;
  }

  get #title(): string {
    return `${this.#record.name} generation ${this.#record.generation}`;
  }

  async #keepFresh(signal: AbortSignal): Promise<void> {
    const intervalMs = this.#context.ttlMs / REFRESHES_PER_TTL;
    for (;;) {
      await pause(intervalMs, signal);
      if (signal.aborted || this.#isSuperseded) return;
      this.#tryingSinceMs ??= this.#context.now();
      if (!this.#isRefreshing) void this.#tryRefresh(signal);
      if (this.#context.now() - this.#tryingSinceMs + intervalMs >= this.#context.ttlMs) {
        const reason = this.#failure ? messageOf(this.#failure) : 'the store does not answer';
        this.#resolveLost(
          new DynamoError(
            'LEASE_LOST',
            `${this.#title} could not be refreshed for ${this.#context.ttlMs} ms: ${reason}`,
            {
              cause: this.#failure,
            },
          ),
        );
      }
    }
  }

  async #tryRefresh(signal: AbortSignal): Promise<void> {
    this.#isRefreshing = true;
    try {
      await this.#inTurn(async () => {
        if (!signal.aborted) await this.#refresh();
      });
      this.#tryingSinceMs = undefined;
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(messageOf(error));
    } finally {
      this.#isRefreshing = false;
    }
  }

  async #refresh(): Promise<void> {
    if (this.#isSuperseded) return;
    const stored = await readStored(this.#context.store, this.#instanceKey);
    if (stored && isNewerLease(stored.lease, this.#mark)) return this.#supersede('was registered by another owner');
    if (await this.#isBuried()) return this.#supersede('was withdrawn by another owner');
    this.#record = { ...this.#record, counter: this.#record.counter + 1 };
    await this.#write();
  }

  async #isBuried(): Promise<boolean> {
    try {
      return (await this.#context.store.read(this.#tombstoneKey)) !== undefined;
    } catch (error) {
      if (error instanceof UnreadableRecordError) return false;
      throw error;
    }
  }

  #supersede(what: string): void {
    this.#isSuperseded = true;
    this.#stopRefreshing.abort();
    this.#resolveLost(new DynamoError('LEASE_LOST', `${this.#title} ${what}`));
  }

  async #bury(): Promise<void> {
    if (this.#isSuperseded) return;
    const { store } = this.#context;
    const stored = await readStored(store, this.#instanceKey);
    if (stored && isNewerLease(stored.lease, this.#mark)) return;
    const text = `${JSON.stringify({ format: 1, withdrawnBy: this.#mark.token, at: this.#record.counter })}\n`;
    try {
      await store.write(this.#tombstoneKey, text);
    } catch (error) {
      if (!(error instanceof DynamoError) || error.code !== 'DISK_FULL') throw error;
      await store.move(this.#instanceKey, this.#tombstoneKey);
    }
    await store.remove(this.#instanceKey);
    this.#context.onBuried(this.#tombstoneKey, text);
  }

  async #write(): Promise<void> {
    await this.#context.store.write(this.#instanceKey, formatInstance({ record: this.#record, lease: this.#mark }));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
