import { leastRecentlyGiven, type Policy } from '../policy.ts';

/** The worker with the fewest running requests; among equals the one that was given the fewest tokens of late. */
export function leastLoaded(): Policy {
  return {
    usesBlocks: false,
    choose(_request, workers, context) {
      const least = Math.min(...workers.map((worker) => worker.load.activeRequests));
      const equals = workers.filter((worker) => worker.load.activeRequests === least);
      return { worker: leastRecentlyGiven(equals, context), reason: `fewest running requests (${least})`, costs: [] };
    },
  };
}
