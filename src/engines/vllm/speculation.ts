import { isDeepStrictEqual } from 'node:util';
import { mapOf } from '../model/written-use.ts';
import type { WorkerSettings } from '../worker.ts';

export const SPECULATION = 'speculative-config';

/** Guess from the tokens alone, without the target model's hidden states: each worker may do as it likes. */
const OF_ITS_OWN = ['ngram', 'ngram_gpu', 'suffix', 'medusa', 'mlp_speculator', 'draft_model'];

/** What NIXL compares (`compute_nixl_compatibility_hash`, 0.32); how many tokens are guessed at a time is not among it. */
const COMPARED = ['method', 'model', 'revision', 'code_revision', 'parallel_drafting', 'kv_cache_dtype'];

/** Whether two workers guess ahead so that each can use the other's KV cache. */
export function speculatesAlike(a: WorkerSettings, b: WorkerSettings): boolean {
  return isDeepStrictEqual(compared(a), compared(b));
}

function compared({ args }: WorkerSettings): Record<string, unknown> | null {
  const config = mapOf(args, SPECULATION);
  if (Object.keys(config).length === 0 || OF_ITS_OWN.includes(String(config['method']))) return null;
  const method = String(config['method'] ?? '');
  return Object.fromEntries(
    COMPARED.map((key) => [key, key === 'method' && method.endsWith('_mtp') ? 'mtp' : (config[key] ?? null)]),
  );
}
