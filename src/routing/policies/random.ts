import type { Policy } from '../policy.ts';

/** Each worker with the same probability. */
export function randomChoice(): Policy {
  return {
    usesBlocks: false,
    choose(_request, workers, { random }) {
      return { worker: workers[Math.floor(random() * workers.length)]!, reason: 'drawn at random', costs: [] };
    },
  };
}
