import { performance } from 'node:perf_hooks';
import { pause } from '../../base/abort.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { ConnectionPool } from '../upstream/connection-pool.ts';
import { PairQuarantine } from './pair-quarantine.ts';
import { SharedReading } from './shared-reading.ts';
import { readTransferCounters, type TransferCounters } from './transfer-counters.ts';

/** A worker that is slower than this with its counters counts as silent. */
const READING_TIMEOUT_MS = 5_000;
/** vLLM makes the text in the process that also serves requests, so it is not asked more often than this. */
const READING_GAP_MS = 20;

/** What one frontend knows about the KV transfers between its workers: their counters, shared among requests, and bad pairs. */
export class TransferEvidence {
  readonly quarantine: PairQuarantine;
  readonly #pool: ConnectionPool;
  readonly #signal: AbortSignal;
  readonly #readings = new WeakMap<KnownInstance, SharedReading<TransferCounters>>();

  constructor(options: { pool: ConnectionPool; quarantineMs: number; signal: AbortSignal }) {
    this.quarantine = new PairQuarantine(options.quarantineMs);
    this.#pool = options.pool;
    this.#signal = options.signal;
  }

  /** A worker's counters, as they are. */
  of(instance: KnownInstance): SharedReading<TransferCounters> {
    const known = this.#readings.get(instance);
    if (known) return known;
    const made = new SharedReading(() => readTransferCounters(this.#pool, instance.origin, READING_TIMEOUT_MS), {
      minGapMs: READING_GAP_MS,
      now: () => performance.now(),
      pause: (ms) => pause(ms, this.#signal),
    });
    this.#readings.set(instance, made);
    return made;
  }

  isQuarantined(prefill: KnownInstance, decode: KnownInstance): boolean {
    return this.quarantine.has(prefill.record, decode.record, performance.now());
  }
}
