import type { Sample } from '../../telemetry/prometheus-text.ts';
import { joinEvidence, type PairEvidence } from './pair-evidence.ts';

/** The data-parallel ranks of one hand-over; null where a side has only one, which needs no name. */
export interface RankPair {
  prefill: number | null;
  decode: number | null;
}

/** The ranks that samples name in a label, in order. */
export function ranksIn(samples: readonly Sample[], label: string): number[] {
  const names = new Set(samples.map(({ labels }) => labels[label]).filter((name) => name !== undefined));
  return [...names]
    .map(Number)
    .filter(Number.isInteger)
    .sort((a, b) => a - b);
}

/**
 * How many ranks a request can be sent to by number: those that count from 0 without a gap. A server that is one rank of several
 * (`rank 3` alone) takes what comes.
 */
export function addressable(ranks: readonly number[]): number {
  return ranks.every((rank, index) => rank === index) ? Math.max(1, ranks.length) : 1;
}

/** Hand-overs in which each rank of either side takes part at least once. */
export function rankPairs(prefill: number, decode: number): RankPair[] {
  return Array.from({ length: Math.max(prefill, decode) }, (_, index) => ({
    prefill: prefill > 1 ? index % prefill : null,
    decode: decode > 1 ? index % decode : null,
  }));
}

/** Samples of one rank; all of them for null. */
export function samplesOf(samples: readonly Sample[], label: string, rank: number | null): readonly Sample[] {
  return rank === null ? samples : samples.filter(({ labels }) => labels[label] === String(rank));
}

/** `prefill rank 3 → decode rank 1`; `prefill rank 3` where the other side has only one; empty where both have. */
export function nameRanks({ prefill, decode }: RankPair): string {
  const names = [prefill === null ? [] : [`prefill rank ${prefill}`], decode === null ? [] : [`decode rank ${decode}`]];
  return names.flat().join(' → ');
}

/** Runs one proof for each pair of ranks, one after the other, and joins them; facts and failures say which it was. */
export async function forEachRank(
  pairs: readonly RankPair[],
  prove: (ranks: RankPair) => Promise<PairEvidence>,
): Promise<PairEvidence> {
  const proofs: PairEvidence[] = [];
  for (const ranks of pairs) {
    const name = nameRanks(ranks);
    try {
      const proof = await prove(ranks);
      proofs.push(name === '' ? proof : { ...proof, facts: proof.facts.map((fact) => `${name}: ${fact}`) });
    } catch (error) {
      if (name !== '' && error instanceof Error) error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
  return joinEvidence(proofs);
}
