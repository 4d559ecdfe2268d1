import type { Policy } from '../policy.ts';

/** Two workers drawn at random; the one with fewer running requests. */
export function powerOfTwo(): Policy {
  return {
    usesBlocks: false,
    choose(_request, workers, { random }) {
      const first = Math.floor(random() * workers.length);
      if (workers.length === 1) return { worker: workers[0]!, reason: 'the only worker', costs: [] };
      // A second draw among the others.
      const second = (first + 1 + Math.floor(random() * (workers.length - 1))) % workers.length;
      const [a, b] = [workers[first]!, workers[second]!];
      const worker = b.load.activeRequests < a.load.activeRequests ? b : a;
      const other = worker === a ? b : a;
      const reason = `${worker.load.activeRequests} running requests against ${other.load.activeRequests} on ${other.id}`;
      return { worker, reason, costs: [] };
    },
  };
}
