import { formatBytes } from '../base/bytes.ts';
import { messageOf } from '../base/errors.ts';
import type { PairSnapshot } from '../deployment/snapshot.ts';
import type { InstanceRecord } from '../discovery/discovery.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { endOf, pairToProve } from '../supervise/pair-proof/pair-end.ts';
import type { PairProof } from '../supervise/pair-proof/pair-evidence.ts';
import { provePair } from '../supervise/pair-proof/prove-pair.ts';
import type { ProvePair } from '../supervise/protocol.ts';

/** Peers a restarted worker proves itself with at most. */
const PROVEN_PEERS = 8;

/** A pair with when it was proven or not, milliseconds since the epoch. */
export interface JudgedPair extends PairSnapshot {
  at?: number;
}

export interface PairProverContext {
  events: EventLog;
  /** Ends with the agent. */
  signal: AbortSignal;
  changed(): void;
}

/** Which prefill×decode pairs have been seen to move KV blocks, and the proofs themselves. */
export class PairProver {
  readonly #context: PairProverContext;
  readonly #pairs = new Map<string, JudgedPair>();

  constructor(context: PairProverContext) {
    this.#context = context;
  }

  /** Takes up what an earlier agent had proven. */
  restore(pairs: readonly JudgedPair[]): void {
    for (const pair of pairs) this.#pairs.set(keyOf(pair), pair);
  }

  snapshots(): JudgedPair[] {
    return [...this.#pairs.values()];
  }

  forget(): void {
    this.#pairs.clear();
  }

  /** Those of processes that are gone for good. */
  forgetProcesses(names: readonly string[]): void {
    for (const [key, { prefill, decode }] of this.#pairs)
      if (names.includes(prefill) || names.includes(decode)) this.#pairs.delete(key);
  }

  /** One pair after the other: the counters are read while nothing else runs. Throws the first failure. */
  async proveAll(pairs: readonly ProvePair[]): Promise<PairSnapshot[]> {
    const proven: PairSnapshot[] = [];
    for (const pair of pairs) proven.push(await this.#prove(pair));
    return proven;
  }

  /**
   * A worker that came back proves itself with its peers. Throws when not one pair works; resolves with the peers whose pair does
   * not: frontends keep those two apart.
   */
  async proveWithPeers(
    spec: ProcessSpec,
    peers: readonly InstanceRecord[],
    signal: AbortSignal,
  ): Promise<InstanceRecord[]> {
    const asked = peers.slice(0, PROVEN_PEERS);
    const failed = await this.#tryPeers(spec, asked, signal);
    const last = failed.at(-1);
    if (last && failed.length === asked.length) throw last.error;
    return failed.map(({ peer }) => peer);
  }

  /** Those of the peers whose pair with it does not work. Throws nothing but the signal's reason. */
  async failingPeers(
    spec: ProcessSpec,
    peers: readonly InstanceRecord[],
    signal: AbortSignal,
  ): Promise<InstanceRecord[]> {
    return (await this.#tryPeers(spec, peers, signal)).map(({ peer }) => peer);
  }

  /** One pair after the other; those that do not work. Throws nothing but the signal's reason. */
  async #tryPeers(
    spec: ProcessSpec,
    peers: readonly InstanceRecord[],
    signal: AbortSignal,
  ): Promise<{ peer: InstanceRecord; error: unknown }[]> {
    const failed: { peer: InstanceRecord; error: unknown }[] = [];
    for (const peer of peers) {
      signal.throwIfAborted();
      const [prefill, decode] = spec.role === 'prefill' ? [endOf(spec), peer] : [peer, endOf(spec)];
      try {
        await this.#prove(pairToProve(prefill, decode));
      } catch (error) {
        failed.push({ peer, error });
      }
    }
    signal.throwIfAborted();
    return failed;
  }

  async #prove(pair: ProvePair): Promise<PairSnapshot> {
    try {
      const proof = await provePair(pair, this.#context.signal);
      return this.#record(pair, 'proven', describeProof(proof));
    } catch (error) {
      this.#record(pair, 'failed', messageOf(error));
      throw error;
    }
  }

  #record(pair: ProvePair, state: PairSnapshot['state'], detail: string): PairSnapshot {
    const snapshot = { prefill: pair.prefill, decode: pair.decode, state, detail };
    this.#pairs.set(keyOf(pair), { ...snapshot, at: Date.now() });
    this.#context.events.write('pair', `${keyOf(pair)} ${state}: ${detail}`);
    this.#context.changed();
    return snapshot;
  }
}

const keyOf = (pair: Pick<PairSnapshot, 'prefill' | 'decode'>) => `${pair.prefill} → ${pair.decode}`;

/** `812 ms, 3.0 MiB moved`. */
function describeProof({ tookMs, bytes, failedTries }: PairProof): string {
  const moved = bytes === null ? '' : `, ${formatBytes(bytes)} moved`;
  return `${Math.round(tookMs)} ms${moved}${failedTries.map((failure) => `, after a try that failed: ${failure}`).join('')}`;
}
