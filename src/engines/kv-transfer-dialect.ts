import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { CompletionKind } from '../openai/completion-request.ts';
import type { FieldTable } from '../openai/leg-fields.ts';

/** How requests of one dialect are split between a prefill and a decode worker, as edits on bytes. Pure. */
interface SplitDialect {
  name: KvTransferDialect;
  fields: FieldTable;
  /** A decode worker can serve a request whole. Otherwise what cannot be split needs an aggregated worker. */
  decodeServesWhole: boolean;
}

/** One leg after the other: the prefill worker answers with what the decode worker needs. */
export interface TwoLegDialect extends SplitDialect {
  /** Body of leg 1. `drawId` makes an id that no other request has, between 2^40 and 2^63. */
  prefillBody(body: Buffer, drawId: () => bigint): Buffer;
  /** What leg 1's answer means. */
  readPrefill(answer: Buffer, kind: CompletionKind): PrefillOutcome;
  /** Body of leg 2: the client's, with the members that leg 1 handed over. */
  decodeBody(body: Buffer, handOver: HandOver): Buffer;
  /** What was handed over is kept for a lease only, and read later it is wrong. */
  hasLease: boolean;
}

/** Members for leg 2, as bytes of leg 1's answer. Good for one use. */
export type HandOver = readonly (readonly [field: string, value: Buffer])[];

export type PrefillOutcome =
  | { kind: 'handed-over'; members: HandOver }
  /** The answer is the whole answer: generation ended with its first token. */
  | { kind: 'complete'; answer: Buffer }
  /** Nothing was kept: this worker does not hand over. */
  | { kind: 'nothing' };

/** Both legs at once; they meet at the prefill worker's bootstrap server. */
export interface RacedDialect extends SplitDialect {
  /** The body of both legs. `prompts` rooms and ids, one for each prompt of the request. */
  raceBody(body: Buffer, meeting: Meeting, isBatch: boolean): Buffer;
}

export interface Meeting {
  host: string;
  port: number;
  /** Unique among the requests that run; 1 to 2^53 − 1. */
  rooms: readonly number[];
  /** Ids by which a worker can be told to stop, all of one length: SGLang takes a prefix for the id. */
  rids: readonly string[];
}
