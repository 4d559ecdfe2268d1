import { DynamoError, messageOf } from '../../base/errors.ts';
import type { ProvePair } from '../protocol.ts';
import type { PairEvidence, PairProof } from './pair-evidence.ts';
import { proveSglangPair } from './prove-sglang.ts';
import { proveTrtllmPair } from './prove-trtllm.ts';
import { proveVllmPair } from './prove-vllm.ts';

const PROVERS = {
  'vllm-nixl': proveVllmPair,
  'sglang-bootstrap': proveSglangPair,
  'trtllm-context-first': proveTrtllmPair,
} satisfies Record<ProvePair['dialect'], (pair: ProvePair, signal: AbortSignal) => Promise<PairEvidence>>;

/**
 * Proves that a prefill worker hands its KV cache to a decode worker: a real request that nobody has cached through both legs,
 * and the engines' own transfer counters must rise. An answer alone proves nothing: a decode worker that received nothing may
 * compute the prompt itself, or answer 200 with the KV cache of another prompt. Throws `KV_PATH_FAILED`.
 */
export async function provePair(pair: ProvePair, signal: AbortSignal): Promise<PairProof> {
  const began = performance.now();
  try {
    const evidence = await PROVERS[pair.dialect](pair, signal);
    return { ...evidence, tookMs: performance.now() - began };
  } catch (error) {
    if (signal.aborted) throw error;
    const { hint } = error instanceof DynamoError ? error : { hint: undefined };
    throw new DynamoError('KV_PATH_FAILED', `${pair.prefill} → ${pair.decode}: ${messageOf(error)}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
