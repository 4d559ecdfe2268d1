import type { Role } from '../base/role.ts';

/**
 * The discovery port: who serves what, where. Adapters: `file.ts`, `etcd.ts`, `memory.ts`; one contract suite runs against each.
 *
 * Discovery is not liveness. An agent publishes an instance when its readiness is proven, refreshes it by a counter,
 * and withdraws it by first writing `draining` and then a tombstone. Observers judge a lapse on their own monotonic
 * clock since the counter last moved; no two clocks are ever compared. A watch is a hint; the list is the truth.
 */
export interface Discovery extends AsyncDisposable {
  /**
   * Makes sure that the store can be used and knows this deployment, so that an absent commit record means something. Done
   * when the handle is made, but for those that `mayBeAway`. Throws `DISCOVERY_UNREACHABLE`.
   */
  open(): Promise<void>;
  /**
   * Publishes `instance` as ready and refreshes it every TTL/3 until the lease is released or `signal` aborts (which merely
   * stops refreshing: the record then lapses). Registering an (name, generation) again takes the record over, also from the
   * dead. Throws `SUPERSEDED` when a later generation of the name is stored.
   */
  register(instance: Instance, options: { signal?: AbortSignal }): Promise<Lease>;
  /**
   * Everything stored for the deployment now, tombstones included: of each name the newest generation, unless it is withdrawn.
   * Unreadable records are skipped and named.
   */
  list(): Promise<DiscoveryListing>;
  /**
   * Existing instances first, then one `synced`, then changes, until `signal` aborts (then ends without an error).
   * Delivers every lasting change even when notifications are lost: it compares full lists every few seconds.
   */
  watch(options: { signal: AbortSignal }): AsyncIterable<DiscoveryEvent>;
  /** Writes the commit record of a start, or of a change, unless one exists for that generation and revision. Returns the record that now stands. */
  commit(record: CommitRecord): Promise<CommitRecord>;
  /** The commit record of a generation, or of a later change of it; `undefined` when there is none. Throws `DISCOVERY_UNREACHABLE` when it cannot know. */
  readCommit(generation: number, revision?: number): Promise<CommitRecord | undefined>;
  /** Removes every record of this deployment. `forGood`: it is over, no trace of it shall stay. */
  clear(options?: { forGood: boolean }): Promise<void>;
}

/** One live registration. (`name`, `generation`) identifies it: a restarted process gets the next generation. */
export interface Instance {
  deployment: string;
  /** Process name in the plan, `prefill-0`. */
  name: string;
  /** Grows with every start of this process within the deployment's life. */
  generation: number;
  role: Role;
  /** Host name in the plan. */
  host: string;
  /** Served model name; null for routers. */
  model: string | null;
  /** Engine adapter, `mocker` or `vllm`; null for frontends and routers. */
  engine: string | null;
  /** `http://127.0.0.1:8101`, without a path. */
  url: string;
  /**
   * `process_start_time_seconds` from the process's own metrics, read when readiness was proven; null if it has none.
   * An address that answers with another value is another instance.
   */
  processStart: number | null;
  /** KV block size in tokens and number of blocks; null where unknown. */
  kvBlockSize: number | null;
  kvTotalBlocks: number | null;
  maxModelLen: number | null;
  maxNumSeqs: number | null;
  maxNumBatchedTokens: number | null;
  /** How this worker hands over KV cache; null for none. */
  kvTransfer: KvTransferDialect | null;
  /** Where decode workers meet this prefill worker to begin a hand-over (SGLang's bootstrap server); host without brackets. */
  bootstrap?: { host: string; port: number } | null;
  /** Where it tells what its KV cache holds; absent or null for one that does not. */
  kvEvents?: KvEventSource | null;
  /**
   * The model has more than one kind of KV cache (sliding windows, state-space layers). Its failed transfers may be answered
   * with 200 and wrong text, so a frontend watches the worker's transfer counters. Absent: not known.
   */
  hybridKv?: boolean | null;
  /** Incarnations it exchanges no KV cache with, though they speak its dialect: the proof of the pair failed. Absent: none. */
  failedPeers?: { name: string; generation: number }[];
}

/** ZeroMQ addresses of a worker's KV events, those of data-parallel rank 0; each further rank has the next port. */
export interface KvEventSource {
  /** `tcp://10.0.0.7:7100`. */
  events: string;
  /** Null where nothing is kept for replay. */
  replay: string | null;
  ranks: number;
}

/**
 * How a request is split between a prefill and a decode worker. `vllm-nixl`: two legs, leg 1's `kv_transfer_params` go into
 * leg 2. `sglang-bootstrap`: both at once with one bootstrap room. `trtllm-context-first`: two legs with opaque
 * `disaggregated_params`.
 */
export const KV_TRANSFER_DIALECTS = ['vllm-nixl', 'sglang-bootstrap', 'trtllm-context-first'] as const;
export type KvTransferDialect = (typeof KV_TRANSFER_DIALECTS)[number];

/** An instance as stored. */
export interface InstanceRecord extends Instance {
  state: 'ready' | 'draining';
  /** Moves while the owner lives. */
  counter: number;
}

/** Left by an orderly withdrawal, for ten TTLs: tells a withdrawn instance from one that merely vanished. */
export interface Tombstone {
  name: string;
  generation: number;
}

export interface DiscoveryListing {
  instances: InstanceRecord[];
  tombstones: Tombstone[];
  /** Records that could not be read, by key, with the reason. */
  unreadable: { key: string; reason: string }[];
}

export type DiscoveryEvent =
  /** New, or changed, or refreshed again after a lapse. Not sent when only the counter moved. */
  | { type: 'upsert'; instance: InstanceRecord }
  /** The counter stood still for a TTL, or the record vanished without a tombstone: ask the instance itself. */
  | { type: 'lapsed'; name: string; generation: number }
  /** Withdrawn by its owner, or replaced by a newer generation of the same name. */
  | { type: 'removed'; name: string; generation: number }
  /** Everything that existed when the watch began has been delivered. */
  | { type: 'synced' }
  /** The store cannot be read (`message`) or can again (null). What was known stays known. */
  | { type: 'store'; message: string | null };

export interface Lease {
  /**
   * Marks the instance as draining: observers stop choosing it and finish what it has. When the store does not take it now it
   * throws, and each refresh tries again. Throws `LEASE_LOST` when the record has another owner by now.
   */
  drain(): Promise<void>;
  /** Withdraws it: writes the tombstone, then removes the record. Idempotent; after an error it may be called again. */
  release(): Promise<void>;
  /**
   * Resolves with the reason if refreshing fails for a whole TTL (it goes on trying), or when another owner took the record over
   * or withdrew it. Never rejects.
   */
  readonly lost: Promise<Error>;
}

/** The commit point of a gang start, or of a later change of what it runs. */
export interface CommitRecord {
  deployment: string;
  generation: number;
  /** Counts the changes of a generation from 1; absent for its start. */
  revision?: number;
  planHash: string;
  /** Epoch of the controller that committed. */
  epoch: number;
}

export interface DiscoveryOptions {
  deployment: string;
  /** Milliseconds after which an unrefreshed record counts as lapsed. */
  ttlMs: number;
  /** Monotonic milliseconds of the observer. */
  now?: () => number;
  /**
   * The handle is made without looking at the store: calls throw while it is away, watches report it. For processes that come
   * up during an outage, and for those that take up what others began: they leave no mark in a store that has lost it.
   */
  mayBeAway?: boolean;
}

export const DEFAULT_DISCOVERY_TTL_MS = 10_000;
