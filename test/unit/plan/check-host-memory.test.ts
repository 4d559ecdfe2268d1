import { describe, expect, it } from 'vitest';
import type { DynamoError } from '../../../src/base/errors.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const host = (name: string, gib: number) => recordedFacts(name, { memoryBytes: gib * 1024 ** 3 });
const recipe = (offload: string, more = '') =>
  `model: m\nengine: vllm\nkvOffload: { cpu: ${offload} }\nworkers: { aggregated: { replicas: 4, gpus: 2, args: { tensor-parallel-size: 2 } ${more} } }\n`;

describe('KV cache in host memory', () => {
  it('is planned where the workers of each host fit', async () => {
    const plan = await planText(recipe('256GiB'), [host('h100-1', 1024)]);
    expect(plan.processes.filter(({ role }) => role === 'aggregated')).toHaveLength(4);
    // Two on each of two hosts.
    await planText(
      `${recipe('256GiB').replace('replicas: 4, gpus: 2', 'replicas: 4, gpus: 4').replace('size: 2', 'size: 4')}`,
      [host('h100-1', 600), host('h100-2', 600)],
    );
  });

  it('is refused where it is more than the host has, with who wants how much', async () => {
    const error: DynamoError = await planText(recipe('64GiB'), [host('h100-1', 200)]).then(
      () => expect.unreachable(),
      (caught: DynamoError) => caught,
    );
    expect(error).toMatchObject({ code: 'RECIPE_INVALID' });
    expect(error.details).toEqual([
      'workers.aggregated.kvOffload.cpu: aggregated-0, aggregated-1, aggregated-2, aggregated-3 would keep 256 GiB of KV cache in the memory of h100-1, which has 200 GiB',
    ]);
  });

  it('of a worker over several hosts is divided among them, and unknown memory is no reason', async () => {
    const wide = `model: m\nengine: vllm\nkvOffload: { cpu: 300GiB }\ndiscovery: { backend: etcd, endpoints: http://10.0.0.1:2379 }\nworkers: { aggregated: { gpus: 16, nodes: 2, args: { tensor-parallel-size: 16 } } }\n`;
    await planText(wide, [host('h100-1', 200), host('h100-2', 200)]);
    await expect(planText(wide, [host('h100-1', 200), host('h100-2', 100)])).rejects.toThrow('more than there is');
    await planText(wide, [host('h100-1', 200), host('h100-2', 0)]);
  });
});
