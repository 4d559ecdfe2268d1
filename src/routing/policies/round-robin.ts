import type { Policy } from '../policy.ts';

/** Each worker in turn, from a random first one. */
export function roundRobin(): Policy {
  let turn: number | undefined;
  return {
    usesBlocks: false,
    choose(_request, workers, { random }) {
      turn ??= Math.floor(random() * workers.length);
      const worker = workers[turn % workers.length]!;
      turn = (turn + 1) % workers.length;
      return { worker, reason: 'next in turn', costs: [] };
    },
  };
}
