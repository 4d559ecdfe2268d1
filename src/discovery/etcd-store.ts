import { randomBytes } from 'node:crypto';
import { type Etcd3, EtcdLeaseInvalidError, GRPCOutOfRangeError, type IRangeRequest, type ITxnRequest } from 'etcd3';
import type { EtcdEndpoints } from './etcd-endpoints.ts';
import { EtcdHints } from './etcd-hints.ts';
import { encodeSegment } from './record-key.ts';
import {
  type HintSource,
  MAX_RECORD_BYTES,
  type RecordStore,
  UnreadableRecordError,
  unreachable,
} from './record-store.ts';

/** Records fetched at once. */
const PAGE_SIZE = 500;

/**
 * Records as keys `PREFIX/DEPLOYMENT/records/KEY`. Beside them `PREFIX/DEPLOYMENT/store` holds a random mark, written when
 * the first handle opens and never again: its loss tells a wiped store from one in which nothing was committed.
 * All reads are linearizable.
 */
export class EtcdStore implements RecordStore {
  readonly #endpoints: EtcdEndpoints;
  readonly #deployment: string;
  readonly #folder: string;
  readonly #leaseTtlSeconds: number;
  readonly #now: () => number;
  /** The store's mark as this handle first saw it. */
  #mark: string | undefined;
  #lease: { id: Promise<string>; grantedAtMs: number } | undefined;

  /** `now`: monotonic milliseconds, by which leases are renewed. */
  constructor(options: {
    endpoints: EtcdEndpoints;
    prefix: string;
    deployment: string;
    leaseTtlSeconds: number;
    now: () => number;
  }) {
    this.#endpoints = options.endpoints;
    this.#deployment = options.deployment;
    this.#folder = `${options.prefix}/${encodeSegment(options.deployment)}/`;
    this.#leaseTtlSeconds = options.leaseTtlSeconds;
    this.#now = options.now;
  }

  /** Leaves the store's mark where there is none. Throws `DISCOVERY_UNREACHABLE` when etcd cannot be used. */
  async open(): Promise<void> {
    const mark = randomBytes(9).toString('base64url');
    const standing = await this.#createOrRead(this.#markKey, mark);
    this.#mark = standing ?? mark;
  }

  async keys(): Promise<string[]> {
    return [...(await this.#readRange({ keys_only: true })).keys()];
  }

  /** Records and the mark, whole keys; whether or not the store was opened. */
  async everyKey(): Promise<string[]> {
    const start = Buffer.from(this.#folder);
    const request = { key: start, range_end: endOfPrefix(start), keys_only: true };
    const { kvs } = await this.#endpoints.call((client) => client.kv.range(request));
    return kvs.map(({ key }) => key.toString());
  }

  async keysWith(beginnings: readonly string[]): Promise<string[]> {
    const success = beginnings.map((beginning) => {
      const key = this.#keyOf(beginning);
      return { request_range: { key, range_end: endOfPrefix(key), keys_only: true } };
    });
    const { responses } = await this.#endpoints.call((client) => client.kv.txn({ success }));
    return responses.flatMap(({ response_range }) => response_range.kvs.map(({ key }) => this.#nameOf(key)));
  }

  readAll(): Promise<Map<string, string | UnreadableRecordError>> {
    return this.#readRange({});
  }

  async read(key: string): Promise<string | undefined> {
    const value = await this.#get(this.#keyOf(key));
    const text = value && textOf(value);
    if (text instanceof UnreadableRecordError) throw text;
    return text;
  }

  async write(key: string, text: string): Promise<void> {
    await this.#withLease((lease) => ({
      success: [{ request_put: { key: this.#keyOf(key), value: Buffer.from(text), lease } }],
    }));
  }

  async create(key: string, text: string): Promise<boolean> {
    return (await this.#createOrRead(this.#keyOf(key), text)) === undefined;
  }

  /** Needs room all the same: a full etcd takes no change but a deletion. */
  async move(from: string, to: string): Promise<void> {
    const value = await this.#get(this.#keyOf(from));
    if (value === undefined) return;
    await this.#withLease((lease) => ({
      compare: [{ key: this.#keyOf(from), target: 'Value', result: 'Equal', value }],
      success: [
        { request_put: { key: this.#keyOf(to), value, lease } },
        { request_delete_range: { key: this.#keyOf(from) } },
      ],
    }));
  }

  async remove(key: string): Promise<void> {
    await this.#endpoints.call((client) => client.kv.deleteRange({ key: this.#keyOf(key) }));
  }

  /** The mark stays, unless it is for good: without it nobody could tell an absent commit record from a lost one. */
  async clear(options?: { forGood: boolean }): Promise<void> {
    const { start, end } = this.#range;
    const success = [{ request_delete_range: { key: start, range_end: end } }];
    if (options?.forGood)
      success.push({ request_delete_range: { key: this.#markKey, range_end: endOfKey(this.#markKey) } });
    await this.#endpoints.call((client) => client.kv.txn({ success }));
  }

  /** A handle that saw the store before it was wiped stays in doubt, also when somebody has opened it again since. */
  async assertPresent(): Promise<void> {
    const mark = (await this.#get(this.#markKey))?.toString();
    if (mark === undefined) throw unreachable(`etcd has lost what it held of ${this.#deployment}`);
    this.#mark ??= mark;
    if (mark !== this.#mark) throw unreachable(`etcd was wiped since ${this.#deployment} was opened`);
  }

  hint(onHint: (key: string | null) => void): HintSource {
    const { start, end } = this.#range;
    return new EtcdHints(this.#endpoints, { start, end }, (key) => {
      onHint(key === null ? null : this.#nameOf(key));
    });
  }

  close(): void {
    this.#endpoints.close();
  }

  get #markKey(): Buffer {
    return Buffer.from(`${this.#folder}store`);
  }

  get #range(): { start: Buffer; end: Buffer } {
    const start = this.#keyOf('');
    return { start, end: endOfPrefix(start) };
  }

  #keyOf(name: string): Buffer {
    return Buffer.from(`${this.#folder}records/${name}`);
  }

  #nameOf(key: Buffer): string {
    return key.toString('utf8', this.#range.start.length);
  }

  async #get(key: Buffer): Promise<Buffer | undefined> {
    const { kvs } = await this.#endpoints.call((client) => client.kv.range({ key }));
    return kvs[0]?.value;
  }

  #readRange(options: IRangeRequest): Promise<Map<string, string | UnreadableRecordError>> {
    return this.#endpoints.call(async (client) => {
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await this.#readPages(client, options);
        } catch (error) {
          // The revision was compacted away between two pages.
          if (!(error instanceof GRPCOutOfRangeError) || attempt === 3) throw error;
        }
      }
    });
  }

  async #readPages(client: Etcd3, options: IRangeRequest): Promise<Map<string, string | UnreadableRecordError>> {
    const found = new Map<string, string | UnreadableRecordError>();
    const { start, end } = this.#range;
    let request: IRangeRequest = { ...options, key: start, range_end: end, limit: PAGE_SIZE };
    for (;;) {
      const { kvs, more, header } = await client.kv.range(request);
      for (const { key, value } of kvs) found.set(this.#nameOf(key), textOf(value));
      const last = kvs.at(-1);
      if (!more || !last) return found;
      // Later pages show the moment of the first one.
      const revision = request.revision ?? header.revision;
      request = { ...request, revision, key: endOfKey(last.key) };
    }
  }

  /** Writes unless the key exists. Returns what stands there instead, or undefined when this call wrote it. */
  async #createOrRead(key: Buffer, text: string): Promise<string | undefined> {
    return this.#endpoints.call(async (client, attempt) => {
      const { succeeded, responses } = await client.kv.txn({
        compare: [{ key, target: 'Create', result: 'Equal', create_revision: 0 }],
        success: [{ request_put: { key, value: Buffer.from(text) } }],
        failure: [{ request_range: { key } }],
      });
      const standing = responses[0]?.response_range?.kvs[0]?.value.toString();
      if (succeeded) return undefined;
      // An earlier try of this call may have been carried out without an answer.
      return attempt > 0 && standing === text ? undefined : (standing ?? '');
    });
  }

  async #withLease(request: (lease: string) => ITxnRequest): Promise<void> {
    await this.#endpoints.call(async (client) => {
      for (let attempt = 0; ; attempt += 1) {
        const lease = await this.#currentLease(client);
        try {
          return await client.kv.txn(request(lease));
        } catch (error) {
          // The store was wiped, or this process slept for a week.
          if (!(error instanceof EtcdLeaseInvalidError) || attempt === 1) throw error;
          if ((await this.#lease?.id.catch(() => lease)) === lease) this.#lease = undefined;
        }
      }
    });
  }

  /** A lease that is at most half over. An older one is left to expire: each refresh moves its record to the new one. */
  #currentLease(client: Etcd3): Promise<string> {
    const nowMs = this.#now();
    if (this.#lease && nowMs - this.#lease.grantedAtMs < (this.#leaseTtlSeconds * 1000) / 2) return this.#lease.id;
    const id = client.leaseClient.leaseGrant({ TTL: this.#leaseTtlSeconds }).then((lease) => lease.ID);
    const lease = { id, grantedAtMs: nowMs };
    this.#lease = lease;
    id.catch(() => {
      if (this.#lease === lease) this.#lease = undefined;
    });
    return id;
  }
}

/** The first key after `key`. */
function endOfKey(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

/** The first key after all that begin with `prefix`, whose last byte is `.` or `/`. */
function endOfPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
}

function textOf(value: Buffer): string | UnreadableRecordError {
  return value.length > MAX_RECORD_BYTES
    ? new UnreadableRecordError(`it has ${value.length} bytes`)
    : value.toString('utf8');
}
