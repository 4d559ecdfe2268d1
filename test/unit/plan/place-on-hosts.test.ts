import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DynamoError } from '../../../src/base/errors.ts';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { placeWorkers } from '../../../src/plan/place-workers.ts';
import { preparePlanHosts } from '../../../src/plan/plan-hosts.ts';
import type { WorkerWish } from '../../../src/plan/worker-wish.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const [one, two, three, four] = [1, 2, 3, 4].map((number) => recordedFacts(`h100-${number}`)) as [
  HostFacts,
  HostFacts,
  HostFacts,
  HostFacts,
];
const h200 = recordedFacts('h200-1');
const bare = (name: string): HostFacts => recordedFacts('no-gpu', { name, address: `10.0.9.${name.at(-1)}` });

/** `h100-1: prefill-0 decode-0`, a line a host. */
const layout = (plan: LaunchPlan): string[] =>
  plan.hosts.map((host) => {
    const here = plan.processes.filter((spec) => spec.host === host && spec.role !== 'frontend');
    return `${host}: ${here.map(({ name }) => name).join(' ')}`;
  });
const group = (tp: number, more = ''): string => `{ gpus: ${tp}, args: { tensor-parallel-size: ${tp} }, ${more} }`;
const pd = (prefill: string, decode: string): string =>
  `model: m\nworkers: { prefill: ${prefill}, decode: ${decode} }\n`;
const failure = async (planning: Promise<LaunchPlan>): Promise<DynamoError> =>
  planning.then(
    () => {
      throw new Error('it was planned');
    },
    (error: unknown) => error as DynamoError,
  );

describe('placement over hosts', () => {
  it('keeps the prefill and decode workers of a model on one host where they all fit', async () => {
    const plan = await planText(pd(group(4), group(4)), [one, two]);
    expect(layout(plan)).toEqual(['h100-1: prefill-0 decode-0']);
    expect(plan.processes[0]?.reasons[0]).toBe(
      'runs on h100-1 with all prefill and decode workers of m: they fit on one host, so KV blocks stay on it',
    );
  });

  it('gives each model a host of its own while there are some', async () => {
    const model = (name: string) => `  - { model: ${name}, workers: { prefill: ${group(2)}, decode: ${group(2)} } }`;
    const plan = await planText(`models:\n${model('a')}\n${model('b')}\n`, [one, two]);
    expect(layout(plan)).toEqual(['h100-1: prefill-0 decode-0', 'h100-2: prefill-1 decode-1']);
  });

  it('spreads replicas over hosts otherwise, so that each has both roles', async () => {
    const plan = await planText(pd(group(2, 'replicas: 6'), group(2, 'replicas: 2')), [one, two]);
    expect(layout(plan)).toEqual([
      'h100-1: prefill-0 prefill-2 prefill-4 decode-0',
      'h100-2: prefill-1 prefill-3 prefill-5 decode-1',
    ]);
    expect(plan.processes.find(({ name }) => name === 'prefill-1')?.reasons[0]).toBe(
      'runs on h100-2: it has the fewest replicas of its group, which are spread over hosts',
    );
    // Peers on the other host are no use to CUDA.
    expect(plan.processes[0]?.env['CUDA_VISIBLE_DEVICES']).toBe('0,1,6,7');
  });

  it('spreads workers without GPUs too, and looks at what somebody else runs from the first host', async () => {
    const mocker = `engine: mocker\n${pd('{ replicas: 2 }', '{}')}`;
    expect(layout(await planText(mocker, [bare('b1'), bare('b2')]))).toEqual([
      'b1: prefill-0 decode-0',
      'b2: prefill-1',
    ]);
    const external = 'model: m\nengine: openai\nworkers: { aggregated: { url: "http://10.9.9.9:1" } }\n';
    expect(layout(await planText(external, [bare('b1'), bare('b2')]))).toEqual(['b1: aggregated-0']);
  });

  it('packs where spreading would leave holes too small for the last', async () => {
    const text = `model: m
workers:
  aggregated:
    - ${group(4, 'replicas: 2')}
    - ${group(3, 'replicas: 2')}
    - ${group(2)}
`;
    const plan = await planText(text, [one, two]);
    expect(layout(plan)).toEqual([
      'h100-1: aggregated-0 aggregated-1',
      'h100-2: aggregated-2 aggregated-3 aggregated-4',
    ]);
    expect(plan.processes[2]?.reasons[0]).toMatch(/only there are 3 free GPUs|fullest host/);
  });

  it('honours types and labels, whoever wants more', async () => {
    const typed = pd(group(8), group(4, 'gpuType: h200'));
    expect(layout(await planText(typed, [h200, one]))).toEqual(['h200-1: decode-0', 'h100-1: prefill-0']);
    const labelled = pd(group(4, 'placement: { rack: b }'), group(4, 'placement: { host: h100-2 }'));
    const plan = await planText(labelled, [one, two, three]);
    expect(layout(plan)).toEqual(['h100-1: ', 'h100-2: decode-0', 'h100-3: prefill-0']);
    expect(plan.processes[0]?.reasons[0]).toBe('runs on h100-3, the only host with rack=b');
  });

  it('keeps to the GPUs that a host may give', async () => {
    const hosts = { 'h100-1': { selfCommand: ['dynamo'], discoveryRoot: '/s', gpus: [4, 5, 6, 7] } };
    const plan = await planText(pd(group(4), group(4)), [one, two], { hosts, takenGpus: { 'h100-2': [0] } });
    expect(plan.processes.map(({ host, gpus }) => [host, ...gpus])).toEqual([
      ['h100-1', 4, 5, 6, 7],
      ['h100-2', 4, 5, 6, 7],
      ['h100-1'],
    ]);
  });

  it('says what is there on every host when it is too little', async () => {
    const error = await failure(
      planText(pd(group(8), group(8, 'replicas: 2')), [one, h200], { takenGpus: { 'h200-1': [7] } }),
    );
    expect([error.code, error.message]).toEqual([
      'GPU_UNAVAILABLE',
      'the recipe wants 24 GPUs but the 2 hosts have only 15 free',
    ]);
    expect(error.details).toEqual([
      'wanted: prefill-0 8 GPUs',
      'wanted: decode-0 8 GPUs',
      'wanted: decode-1 8 GPUs',
      'there: h100-1 GPUs 0-7 NVIDIA H100 80GB HBM3, 80 GiB each',
      'there: h200-1 GPUs 0-6 NVIDIA H200, 140 GiB each',
      'there: h200-1 GPU 7 NVIDIA H200, 140 GiB, held by another deployment',
    ]);
    const nowhere = await failure(planText(pd(group(8), group(8, 'gpuType: B200')), [one, two]));
    expect(nowhere.message).toBe(
      'decode-0 wants 8 GPUs of type B200 on one host, and beside the others that is left nowhere',
    );
    const unlabelled = await failure(planText(pd(group(1), group(1, 'placement: { rack: z }')), [one, two]));
    expect(unlabelled.message).toBe('decode-0 wants a host with rack=z, and no host has that');
  });

  it('never gives a GPU twice, nor a worker less than it wants', () => {
    const wishes = fc.array(
      fc.record({
        count: fc.integer({ min: 0, max: 8 }),
        nodes: fc.constantFrom(1, 1, 1, 2),
        role: fc.constantFrom('prefill', 'decode', 'aggregated'),
      }),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(wishes, fc.integer({ min: 1, max: 4 }), (wanted, hosts) => {
        const facts = [one, two, three, h200].slice(0, hosts);
        const full = wanted.map((wish, index): WorkerWish => {
          const nodes = wish.count === 0 ? 1 : wish.nodes;
          const rest = {
            model: 'm',
            group: wish.role,
            type: undefined,
            placement: undefined,
            sharing: 1,
            external: false,
          };
          return { worker: `w${index}`, ...wish, nodes, ...rest } as WorkerWish;
        });
        const prepared = preparePlanHosts({ facts, selfCommand: [], discoveryRoot: '/' });
        let places: ReturnType<typeof placeWorkers>;
        try {
          places = placeWorkers(full, prepared);
        } catch (error) {
          expect((error as DynamoError).code).toBe('GPU_UNAVAILABLE');
          return;
        }
        const given = [...places].flatMap(([, { members }]) =>
          members.flatMap(({ host, gpus }) => gpus.map((gpu) => `${host.name}/${gpu}`)),
        );
        expect(new Set(given).size).toBe(given.length);
        for (const wish of full) {
          const members = places.get(wish.worker)!.members;
          expect(members.map(({ gpus }) => gpus.length)).toEqual(Array(wish.nodes).fill(wish.count));
          expect(new Set(members.map(({ host }) => host.name)).size).toBe(wish.nodes);
        }
      }),
    );
  });
});

describe('a worker over several hosts', () => {
  const spanning = (nodes: number, tp: number): string => group(tp, `nodes: ${nodes}`);

  it('becomes a leader and followers, of which only the leader is paired', async () => {
    const plan = await planText(pd(spanning(2, 16), spanning(2, 16)), [one, three, two, four]);
    expect(plan.processes.slice(0, 4).map(({ name, host, group }) => [name, host, group])).toEqual([
      ['prefill-0', 'h100-1', { name: 'prefill-0', rank: 0, size: 2, leader: true }],
      ['prefill-0-node1', 'h100-2', { name: 'prefill-0', rank: 1, size: 2, leader: false }],
      ['decode-0', 'h100-3', { name: 'decode-0', rank: 0, size: 2, leader: true }],
      ['decode-0-node1', 'h100-4', { name: 'decode-0', rank: 1, size: 2, leader: false }],
    ]);
    const follower = plan.processes[1]!;
    expect(follower).toMatchObject({ readiness: [], liveness: null, kvTransfer: null, gpus: [0, 1, 2, 3, 4, 5, 6, 7] });
    expect(plan.processes[0]?.reasons[0]).toMatch(/all in rack a$/);
    expect(plan.stages[0]).toEqual(['prefill-0', 'prefill-0-node1', 'decode-0', 'decode-0-node1']);
    expect(plan.pairs).toEqual([{ prefill: 'prefill-0', decode: 'decode-0' }]);
  });

  it('takes the same ports on all its hosts, past what any of them has in use', async () => {
    const busy = { ...two, listeningPorts: [8100, 20_150] };
    const plan = await planText(`model: m\nworkers: { aggregated: ${spanning(2, 16)} }\n`, [one, busy]);
    const [leader, follower] = plan.processes;
    expect(leader?.ports).toEqual({ http: 8101, internal: 20_000, master: 29_501 });
    expect(follower?.ports).toEqual({ internal: 20_000 });
    expect(leader?.reasons).toContain('HTTP port 8101: the first free one from 8100 (in use: 8100)');
  });

  it('does not mix GPU types, and finds nothing when a host is missing', async () => {
    const text = `model: m\nworkers: { aggregated: ${spanning(2, 16)} }\n`;
    expect((await planText(text, [one, h200, two])).hosts).toEqual(['h100-1', 'h100-2']);
    expect((await failure(planText(text, [one, h200]))).message).toBe(
      'aggregated-0 wants 8 GPUs on each of 2 hosts, and beside the others that is left nowhere',
    );
    expect((await failure(planText(text, [one]))).message).toBe('aggregated-0 spans 2 hosts but there is only 1');
  });
});

describe('frontends over hosts', () => {
  const mocker = 'engine: mocker\nmodel: m\nworkers: { aggregated: { replicas: 2 } }\n';
  const hosts = [bare('b1'), bare('b2')];
  const urls = async (frontend: string): Promise<string[]> =>
    (await planText(`${mocker}frontend: ${frontend}\n`, hosts)).processes.flatMap(({ role, url }) =>
      role === 'frontend' ? [url] : [],
    );

  it('are on the first host, at an address that the others reach', async () => {
    expect(await urls('{ replicas: 2 }')).toEqual(['http://10.0.9.1:8000', 'http://10.0.9.1:8001']);
    expect(await urls('{ host: 0.0.0.0 }')).toEqual(['http://10.0.9.1:8000']);
    const error = await failure(planText(`${mocker}frontend: { host: 127.0.0.1 }\n`, hosts));
    expect(error.details).toEqual([
      'frontend.host: 127.0.0.1 cannot be reached from the other hosts of the deployment; leave it out',
    ]);
  });

  it('are spread over those with the labels that the recipe names', async () => {
    expect(await urls('{ replicas: 2, placement: {} }')).toEqual(['http://10.0.9.1:8000', 'http://10.0.9.2:8000']);
    expect(await urls('{ placement: { host: b2 } }')).toEqual(['http://10.0.9.2:8000']);
    const error = await failure(planText(`${mocker}frontend: { placement: { zone: x } }\n`, hosts));
    expect(error.details).toEqual(['frontend.placement: no host has zone=x']);
  });
});

describe('addresses of hosts', () => {
  it('must lead from one to the other', async () => {
    const mocker = 'engine: mocker\nmodel: m\nworkers: { aggregated: { replicas: 2 } }\n';
    const on = (...addresses: string[]) =>
      planText(
        mocker,
        addresses.map((address, index) => recordedFacts('no-gpu', { name: `b${index + 1}`, address })),
      );
    expect(await failure(on('127.0.0.1', '10.0.0.2'))).toMatchObject({
      code: 'HOSTS_INVALID',
      details: ['b1: the other hosts cannot reach 127.0.0.1'],
    });
    expect((await failure(on('10.0.0.2', '10.0.0.2'))).details).toEqual(['b2: 10.0.0.2 is the address of b1, too']);
    const six = await on('fd00::1', 'fd00::2');
    expect(six.processes.map(({ url }) => url)).toEqual([
      'http://[fd00::1]:8100',
      'http://[fd00::2]:8100',
      'http://[fd00::1]:8000',
    ]);
  });
});

describe('settings of a host', () => {
  it('reach its processes: command, folders, environment', async () => {
    const setup = (name: string) => ({ selfCommand: [`/kit/${name}`], discoveryRoot: `/home/${name}` });
    const plan = await planText(
      'engine: mocker\nmodel: m\nworkers: { aggregated: { replicas: 2, env: { A: recipe } } }\n',
      [bare('b1'), bare('b2')],
      { hosts: { b1: setup('b1'), b2: { ...setup('b2'), env: { A: 'host', NCCL_SOCKET_IFNAME: 'eth1' } } } },
    );
    const [first, second, frontend] = plan.processes;
    expect([first?.argv[0], second?.argv[0]]).toEqual(['/kit/b1', '/kit/b2']);
    expect(frontend?.argv).toContain('/home/b1');
    expect(first?.env).not.toHaveProperty('NCCL_SOCKET_IFNAME');
    expect(second?.env).toMatchObject({ A: 'recipe', NCCL_SOCKET_IFNAME: 'eth1' });
    expect(second?.reasons).toContain('NCCL_SOCKET_IFNAME from the hosts file');
  });

  it('never outweigh what the plan decides', async () => {
    const hosts = {
      'h100-1': { selfCommand: [], discoveryRoot: '/', env: { CUDA_VISIBLE_DEVICES: '9', UCX_TLS: 'rc' } },
    };
    const plan = await planText(pd(group(1), group(1)), [one], { hosts });
    expect(plan.processes[0]?.env['CUDA_VISIBLE_DEVICES']).toBe('0,1');
    expect(plan.processes[0]?.reasons).toContain(
      'UCX_TLS=rc is set: UCX is what NIXL moves blocks with, NCCL_* do not matter to it',
    );
  });
});
