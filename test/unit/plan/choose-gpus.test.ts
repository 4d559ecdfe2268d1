import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import { chooseGpus } from '../../../src/plan/choose-gpus.ts';
import { islandsOf } from '../../../src/plan/gpu-islands.ts';
import { recordedFacts } from '../../helpers/recipes.ts';

/** Four GPUs in two bridged pairs that do not lie side by side: 0-2 and 1-3; two NUMA nodes. */
function pairs(): HostFacts {
  const facts = recordedFacts('8xh100');
  const gpus = facts.gpus.slice(0, 4).map((gpu) => ({ ...gpu, numaNode: gpu.index < 2 ? 0 : 1 }));
  const nvlink = [0, 1, 2, 3].map((a) => [0, 1, 2, 3].map((b) => (Math.abs(a - b) === 2 ? 4 : 0)));
  return { ...facts, gpus, nvlink };
}

const choose = (facts: HostFacts, count: number, free = facts.gpus) =>
  chooseGpus(free, count, undefined, islandsOf(facts));

describe('chooseGpus', () => {
  it('stays within NVLink and a NUMA node where it can', () => {
    const facts = recordedFacts('h100-1');
    const free = facts.gpus.filter(({ index }) => index > 0);
    expect(choose(facts, 4, free)).toEqual({
      gpus: facts.gpus.slice(4),
      reason:
        'GPUs 4, 5, 6, 7 (NVIDIA H100 80GB HBM3), joined by NVLink, on NUMA node 1: the smallest run of free neighbours that holds 4, which it fills',
    });
    expect(choose(facts, 6, free)?.reason).toMatch(/^GPUs 1, 2, 3, 4, 5, 6 \(.*\), joined by NVLink: /);
  });

  it('takes a NUMA node where NVLink joins no neighbours, and says when there is neither', () => {
    expect(choose(pairs(), 2)?.reason).toMatch(/^GPUs 0, 1 \(.*\), on NUMA node 0: /);
    expect(choose(pairs(), 3)?.reason).toMatch(/^GPUs 0, 1, 2 \(.*\), though not near each other: /);
  });

  it('says nothing of what the facts do not tell', () => {
    const facts = recordedFacts('8xh100');
    expect(islandsOf(facts)).toEqual([]);
    expect(choose(facts, 4)?.reason).toMatch(/^GPUs 0, 1, 2, 3 \([^)]*\): the smallest run/);
  });
});
