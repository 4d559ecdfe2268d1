import { DynamoError, messageOf } from '../base/errors.ts';
import type { RdmaFacts } from '../hosts/host-facts.ts';
import { bandwidth, type PairProof } from '../supervise/pair-proof/pair-evidence.ts';
import { LegRefused } from '../supervise/pair-proof/proof-request.ts';
import { provePair } from '../supervise/pair-proof/prove-pair.ts';
import type { ProvePair } from '../supervise/protocol.ts';
import { judgeTransport, type TransportVerdict } from './judge-transport.ts';
import { payloadPaths } from './ucx-transport.ts';

/** A pair to look at, and what is known of where it runs. */
export interface KvPathTarget {
  pair: ProvePair;
  /** Engine of the workers. */
  engine: string;
  sameHost: boolean;
  onGpus: boolean;
  /** Log files of both workers; `file` is null where they are on another host or not known. */
  logs: readonly { process: string; file: string | null }[];
}

/** What `doctor kv-path` found out of one pair. Times are milliseconds. */
export interface KvPathReport {
  prefill: string;
  decode: string;
  dialect: string;
  ok: boolean;
  /** Why it does not work, and what to do. */
  error: string | null;
  hint: string | null;
  /** The first proof, in which workers that never met get to know each other. */
  first: KvPathMeasure | null;
  /** The one with the fastest transfer among those after it; null when there was only one. */
  best: KvPathMeasure | null;
  transport: TransportVerdict;
}

export interface KvPathMeasure {
  tookMs: number;
  prefillMs: number;
  decodeMs: number;
  promptTokens: number;
  bytes: number | null;
  transferMs: number | null;
  bytesPerSecond: number | null;
  facts: string[];
}

export interface KvPathOptions {
  /** Proofs of each pair; the first one pays for the first contact. */
  repeat: number;
  rdma: readonly RdmaFacts[];
  readLog(file: string): string | undefined;
  signal: AbortSignal;
}

/** Proves a pair with real requests, measures its transfers and looks up how they travel. Never rejects but for the signal. */
export async function checkKvPath(target: KvPathTarget, options: KvPathOptions): Promise<KvPathReport> {
  const { prefill, decode, dialect } = target.pair;
  const measures: KvPathMeasure[] = [];
  let failure: unknown;
  try {
    for (let index = 0; index < options.repeat; index += 1)
      measures.push(measureOf(await provePair(target.pair, options.signal)));
  } catch (error) {
    options.signal.throwIfAborted();
    failure = error;
  }
  return {
    prefill,
    decode,
    dialect,
    ok: failure === undefined,
    ...(failure === undefined ? { error: null, hint: null } : explain(target, failure)),
    first: measures[0] ?? null,
    best: fastest(measures.slice(1)),
    transport: transportOf(target, options),
  };
}

/** Why a proof failed, and what to do; the report names the pair itself. */
function explain({ pair }: KvPathTarget, failure: unknown): { error: string; hint: string | null } {
  const cause = failure instanceof DynamoError ? (failure.cause ?? failure) : failure;
  const isTooLong = cause instanceof LegRefused && cause.status === 400 && pair.promptWords !== undefined;
  const known = failure instanceof DynamoError ? (failure.hint ?? null) : null;
  return { error: messageOf(cause), hint: isTooLong ? 'Ask with fewer `--prompt-words`.' : known };
}

function measureOf(proof: PairProof): KvPathMeasure {
  const { tookMs, prefillMs, decodeMs, promptTokens, bytes, transferMs, facts } = proof;
  return { tookMs, prefillMs, decodeMs, promptTokens, bytes, transferMs, bytesPerSecond: bandwidth(proof), facts };
}

function fastest(measures: readonly KvPathMeasure[]): KvPathMeasure | null {
  return (
    measures.toSorted((a, b) => (b.bytesPerSecond ?? 0) - (a.bytesPerSecond ?? 0) || a.tookMs - b.tookMs)[0] ?? null
  );
}

function transportOf({ engine, sameHost, onGpus, logs }: KvPathTarget, options: KvPathOptions): TransportVerdict {
  const read = logs.map(({ process, file }) => ({ process, text: file === null ? undefined : options.readLog(file) }));
  return judgeTransport(
    read.flatMap(({ text }) => (text === undefined ? [] : payloadPaths(text))),
    {
      sameHost,
      onGpus,
      rdma: options.rdma,
      simulated: engine === 'mocker',
      unreadable: read.filter(({ text }) => text === undefined).map(({ process }) => process),
    },
  );
}
