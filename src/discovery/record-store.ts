import { DynamoError } from '../base/errors.ts';

/**
 * What a discovery backend has to offer: small texts under flat keys, of one deployment. Everything else (leases, counters,
 * lapses, tombstones, events) is built on it once, so that backends cannot differ in it.
 *
 * Errors: `DISCOVERY_UNREACHABLE` when the store cannot be used now, `DISK_FULL` when it takes nothing more.
 */
export interface RecordStore {
  /** Makes the place for the records, so that an absent record proves something from now on. */
  open(): Promise<void>;
  /** Every key, strange ones included. Nothing stored, or the place not there: empty. */
  keys(): Promise<string[]>;
  /** Keys that begin with one of these texts, for stores that need no full list for it. */
  keysWith?(beginnings: readonly string[]): Promise<string[]>;
  /** Everything as of one moment, for stores that can give it in one step; saves a read for each key. */
  readAll?(): Promise<ReadonlyMap<string, string | UnreadableRecordError>>;
  /** The text under a key; `undefined` when there is none. Throws `UnreadableRecordError` for what cannot be a record. */
  read(key: string): Promise<string | undefined>;
  /** Replaces the text in one step. */
  write(key: string, text: string): Promise<void>;
  /** Writes durably unless the key exists. Returns true if this call wrote it; of concurrent calls exactly one does. */
  create(key: string, text: string): Promise<boolean>;
  /** Moves a text to another key without needing room. No error if there is nothing to move. */
  move(from: string, to: string): Promise<void>;
  /** Removes a key. No error if it is gone. */
  remove(key: string): Promise<void>;
  /** Removes every record of this deployment; `forGood`: the trace that it was there, too. */
  clear(options?: { forGood: boolean }): Promise<void>;
  /** Calls `onHint` with a key that may have changed, or null when any may have. Hints may be lost, late or wrong. */
  hint(onHint: (key: string | null) => void): HintSource;
  /** Throws `DISCOVERY_UNREACHABLE` if an absent key does not prove that there is none. */
  assertPresent(): Promise<void>;
  /** Gives up connections. */
  close?(): void;
}

export interface HintSource extends Disposable {
  /** Looks whether hints still arrive, and subscribes again if not. */
  renew(): Promise<void>;
}

/** Longest text taken for a record, in bytes. */
export const MAX_RECORD_BYTES = 64 * 1024;

/** Something lies under a key that is no record; the message says what. Readers skip it. */
export class UnreadableRecordError extends Error {}

/** The error of a store that cannot be used now. */
export function unreachable(message: string, cause?: unknown): DynamoError {
  return new DynamoError('DISCOVERY_UNREACHABLE', message, { cause });
}
