import type { AgentStatus } from '../supervise/protocol.ts';
import type { PairSnapshot } from './snapshot.ts';

/**
 * What is known of each pair, by the agents of both its ends: the newest verdict counts. An agent says how long ago it proved a pair, by its own
 * clock; one that does not say (of an earlier release) comes last. Pure.
 */
export function newestPairs(
  statuses: Iterable<Pick<AgentStatus, 'host' | 'pairs'>>,
): (PairSnapshot & { host: string })[] {
  const newest = new Map<string, { pair: PairSnapshot & { host: string }; ageMs: number }>();
  for (const { host, pairs } of statuses) {
    for (const { prefill, decode, state, detail, ageMs = Number.POSITIVE_INFINITY } of pairs) {
      const key = `${prefill} ${decode}`;
      const known = newest.get(key);
      if (!known || ageMs < known.ageMs) newest.set(key, { ageMs, pair: { host, prefill, decode, state, detail } });
    }
  }
  return [...newest.values()].map(({ pair }) => pair);
}
