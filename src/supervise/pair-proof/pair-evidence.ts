/** What was seen of one hand-over, by the answers and by the engines' own counts. */
export interface PairEvidence {
  /** Bytes the engine says it moved; null where it does not say. */
  bytes: number | null;
  /** Milliseconds the engine says the transfer took; null where it does not say. */
  transferMs: number | null;
  /** Tokens of the prompt, as both legs count them. */
  promptTokens: number;
  /** Milliseconds from request to answer. With legs that run at once both count from the same start. */
  prefillMs: number;
  decodeMs: number;
  /** What the proof rests on, one sentence each. */
  facts: string[];
  /** What went wrong in tries before the one that succeeded; empty for the usual proof. */
  failedTries: string[];
}

export interface PairProof extends PairEvidence {
  /** The whole proof, milliseconds. */
  tookMs: number;
}

/** Bytes per second of a proof; null where the engine does not say enough. */
export function bandwidth({ bytes, transferMs }: Pick<PairEvidence, 'bytes' | 'transferMs'>): number | null {
  return bytes === null || transferMs === null || transferMs <= 0 ? null : (bytes * 1_000) / transferMs;
}

/** One proof of those of all ranks: what they moved together, the slowest legs, and what each rests on. */
export function joinEvidence(proofs: readonly PairEvidence[]): PairEvidence {
  const [first, ...others] = proofs;
  if (first === undefined) throw new Error('nothing was proven');
  return others.reduce(
    (sum, proof) => ({
      bytes: add(sum.bytes, proof.bytes),
      transferMs: add(sum.transferMs, proof.transferMs),
      promptTokens: sum.promptTokens,
      prefillMs: Math.max(sum.prefillMs, proof.prefillMs),
      decodeMs: Math.max(sum.decodeMs, proof.decodeMs),
      facts: [...sum.facts, ...proof.facts],
      failedTries: [...sum.failedTries, ...proof.failedTries],
    }),
    first,
  );
}

const add = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);
