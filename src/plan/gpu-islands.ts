import type { GpuFacts, HostFacts } from '../hosts/host-facts.ts';

/** A way to divide the GPUs of a host into islands within which they reach each other faster than beyond. */
export interface Islands {
  /** The island of a GPU. */
  of(gpu: GpuFacts): string;
  /** About GPUs that lie in one island, in words. */
  joined(gpu: GpuFacts): string;
}

/**
 * Which GPUs of a host are near each other, as far as its facts tell, the nearest first: joined by NVLink and on one NUMA node,
 * joined by NVLink, on one NUMA node. Empty when all are alike.
 */
export function islandsOf({ gpus, nvlink }: HostFacts): Islands[] {
  const links = nvlink?.some((row) => row.some((count) => count > 0)) ? byNvlink(gpus, nvlink) : undefined;
  const nodes = new Set(gpus.map(({ numaNode }) => numaNode ?? null)).size > 1 ? BY_NUMA : undefined;
  const both: Islands[] =
    links && nodes
      ? [
          {
            of: (gpu) => `${links.of(gpu)}, ${nodes.of(gpu)}`,
            joined: (gpu) => `${links.joined(gpu)}, ${nodes.joined(gpu)}`,
          },
        ]
      : [];
  return [...both, ...(links ? [links] : []), ...(nodes ? [nodes] : [])];
}

const BY_NUMA: Islands = {
  of: ({ numaNode }) => String(numaNode ?? 'unknown'),
  joined: ({ numaNode }) =>
    `on ${numaNode === null || numaNode === undefined ? 'an unknown NUMA node' : `NUMA node ${numaNode}`}`,
};

function byNvlink(gpus: readonly GpuFacts[], links: readonly (readonly number[])[]): Islands {
  const roots = componentsOf(links);
  return { of: (gpu) => String(roots[gpus.indexOf(gpu)] ?? 'none'), joined: () => 'joined by NVLink' };
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
