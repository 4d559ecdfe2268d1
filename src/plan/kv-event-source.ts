import type { KvEventSource } from '../discovery/discovery.ts';
import type { ProcessSpec } from './launch-plan.ts';

/** How engines call their number of data-parallel ranks, each of which publishes on a port of its own. */
const RANK_FLAGS = ['--data-parallel-size', '--dp-size', '--dp', '-dp'];

/** Where a worker publishes its KV events, by the ports of its plan; null when it does not. */
export function kvEventSourceOf({
  ports,
  url,
  argv,
  group,
}: Pick<ProcessSpec, 'ports' | 'url' | 'argv' | 'group'>): KvEventSource | null {
  const { kvEvents, kvReplay } = ports;
  if (kvEvents === undefined) return null;
  // Bracketed where it is IPv6, as in the URL.
  const host = new URL(url).hostname;
  const at = argv.findIndex((word) => RANK_FLAGS.includes(word));
  // Of a worker over several hosts only the leader's own ranks publish there; those of followers do on their hosts.
  const ranks = (at < 0 ? 1 : Number(argv[at + 1])) / (at < 0 ? 1 : (group?.size ?? 1));
  return {
    events: `tcp://${host}:${kvEvents}`,
    replay: kvReplay === undefined ? null : `tcp://${host}:${kvReplay}`,
    ranks: Number.isInteger(ranks) && ranks > 0 ? ranks : 1,
  };
}
