import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import type { GpuFacts, HostFacts } from '../../../src/hosts/host-facts.ts';
import { placeWorkers } from '../../../src/plan/place-workers.ts';
import { preparePlanHosts } from '../../../src/plan/plan-hosts.ts';
import type { WorkerWish } from '../../../src/plan/worker-wish.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const gpu = (index: number, name = 'NVIDIA H100 80GB HBM3'): GpuFacts => ({
  index,
  uuid: `GPU-${index}`,
  name,
  memoryBytes: 80 * 1024 ** 3,
  memoryUsedBytes: 0,
});
const host = (...gpus: GpuFacts[]): HostFacts => recordedFacts('no-gpu', { gpus });
const wish = (worker: string, count: number, type?: string): WorkerWish => ({
  ...{ worker, count, type, role: 'aggregated', model: 'm', group: 'g', nodes: 1 },
  ...{ placement: undefined, sharing: 1, external: false },
});
const place = (wishes: WorkerWish[], facts: HostFacts[], takenGpus: number[] = []) =>
  placeWorkers(wishes, preparePlanHosts({ facts, takenGpus, selfCommand: ['dynamo'], discoveryRoot: '/state' }));
const indices = (facts: HostFacts, wishes: WorkerWish[], taken: number[] = []) =>
  Object.fromEntries([...place(wishes, [facts], taken)].map(([worker, { members }]) => [worker, members[0]!.gpus]));

describe('placeWorkers on one host', () => {
  const eight = recordedFacts('8xh100');

  it('gives neighbours, the largest wish first', () => {
    expect(indices(eight, [wish('a', 1), wish('b', 4), wish('c', 2)])).toEqual({ b: [0, 1, 2, 3], c: [4, 5], a: [6] });
  });

  it('fills the smallest run that fits, so that larger ones stay whole', () => {
    const facts = host(gpu(0), gpu(1), gpu(2), gpu(3), gpu(5), gpu(6));
    expect(place([wish('a', 2)], [facts]).get('a')).toMatchObject({
      members: [
        {
          gpus: [5, 6],
          reason: 'GPUs 5, 6 (NVIDIA H100 80GB HBM3): the smallest run of free neighbours that holds 2, which it fills',
        },
      ],
      reason: 'runs on local, the only host',
      turn: 0,
    });
  });

  it('takes scattered ones of one type when no neighbours are left, and says so', () => {
    const mixed = host(gpu(0), gpu(2), gpu(4, 'NVIDIA L4'));
    const given = place([wish('a', 2)], [mixed]).get('a');
    expect(given?.members[0]?.reason).toMatch(/the lowest free ones, as no 2 neighbours are free/);
    expect(() => place([wish('a', 3)], [mixed])).toThrow(DynamoError);
  });

  it('keeps to the type asked for, and serves who is particular first', () => {
    const facts = host(gpu(0), gpu(1, 'NVIDIA L4'));
    expect(indices(facts, [wish('any', 1), wish('fast', 1, 'h100')])).toEqual({ fast: [0], any: [1] });
  });

  it('says what is wanted by whom and what is there', async () => {
    const text =
      'model: m\nworkers: { prefill: { replicas: 2 }, decode: { gpus: 4, args: { tensor-parallel-size: 4 } } }\n';
    const error = (await planText(text, recordedFacts('2xa100')).catch((thrown: unknown) => thrown)) as DynamoError;
    expect(error.code).toBe('GPU_UNAVAILABLE');
    expect(error.message).toBe('the recipe wants 6 GPUs but local has only 2 free');
    expect(error.details).toEqual([
      'wanted: prefill-0 1 GPU',
      'wanted: prefill-1 1 GPU',
      'wanted: decode-0 4 GPUs',
      'there: local GPUs 0-1 NVIDIA A100-SXM4-40GB, 40 GiB each',
    ]);
    await expect(planText('model: m\nworkers: { aggregated: {} }\n')).rejects.toMatchObject({
      message: 'the recipe wants 1 GPU but local has none free',
      details: ['wanted: aggregated-0 1 GPU', 'there: local has no GPU that nvidia-smi lists'],
    });
  });

  it('names the type that is missing, and GPUs that others hold', () => {
    const error = (() => {
      try {
        place([wish('a', 1, 'B200')], [eight], [3]);
      } catch (thrown) {
        return thrown as DynamoError;
      }
    })();
    expect(error?.message).toBe('a wants 1 GPU of type B200 but only 0 are left that fit together');
    expect(error?.details).toEqual([
      'wanted: a 1 GPU (B200)',
      'there: local GPUs 0-2, 4-7 NVIDIA H100 80GB HBM3, 80 GiB each',
      'there: local GPU 3 NVIDIA H100 80GB HBM3, 80 GiB, held by another deployment',
    ]);
  });

  it('never gives a GPU twice, an unknown one, or too few', () => {
    const machine = fc.uniqueArray(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 16 });
    const counts = fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 8 });
    fc.assert(
      fc.property(machine, counts, (present, wanted) => {
        const facts = host(...present.map((index) => gpu(index)));
        const wishes = wanted.map((count, i) => wish(`w${i}`, count));
        const total = wanted.reduce((sum, count) => sum + count, 0);
        if (total > present.length) {
          expect(() => place(wishes, [facts])).toThrow(/wants/);
          return;
        }
        const given = Object.values(indices(facts, wishes));
        expect(given.flat().length).toBe(total);
        expect(new Set(given.flat()).size).toBe(total);
        expect(given.flat().every((index) => present.includes(index))).toBe(true);
      }),
    );
  });
});
