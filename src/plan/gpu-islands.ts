import type { GpuFacts, HostFacts } from '../hosts/host-facts.ts';

/** A way to divide the GPUs of a host into islands within which they reach each other faster than beyond. */
export interface Islands {
  /** The island of a GPU. */
  of(gpu: GpuFacts): string;
  /** About GPUs that lie in one island, in words. */
  joined(gpu: GpuFacts): string;
}

/** Which GPUs of a host are near each other, as far as its facts tell: by NVLink, then by NUMA node. The nearest first. */
export function islandsOf({ gpus, nvlink }: HostFacts): Islands[] {
  const islands: Islands[] = [];
  if (nvlink?.some((row) => row.some((links) => links > 0))) {
    const roots = componentsOf(nvlink);
    islands.push({
      of: (gpu) => `NVLink ${roots[gpus.indexOf(gpu)] ?? 'none'}`,
      joined: () => 'joined by NVLink',
    });
  }
  if (new Set(gpus.map(({ numaNode }) => numaNode ?? null)).size > 1)
    islands.push({
      of: ({ numaNode }) => `NUMA ${numaNode ?? 'unknown'}`,
      joined: ({ numaNode }) => (numaNode === null || numaNode === undefined ? '' : `on NUMA node ${numaNode}`),
    });
  return islands;
}

/** For each GPU the lowest position that it reaches over NVLinks, its own or those of others. */
function componentsOf(links: readonly (readonly number[])[]): number[] {
  const roots = links.map((_, position) => position);
  // Settles after at most one pass a GPU: each pass hands the lowest position one link further.
  for (let changed = true; changed; ) {
    changed = false;
    links.forEach((row, a) => {
      row.forEach((count, b) => {
        const lowest = Math.min(roots[a]!, roots[b] ?? roots[a]!);
        if (count === 0 || (roots[a] === lowest && roots[b] === lowest)) return;
        roots[a] = lowest;
        if (b < roots.length) roots[b] = lowest;
        changed = true;
      });
    });
  }
  return roots;
}
