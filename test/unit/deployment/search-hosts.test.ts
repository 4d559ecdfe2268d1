import { expect, it } from 'vitest';
import { recordOf } from '../../../src/deployment/restore-record.ts';
import { readParts } from '../../../src/deployment/search-hosts.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const entry: HostEntry = { name: 'box', address: '10.0.0.1', local: false, labels: {}, env: {} };
const journal = (more: object) =>
  JSON.stringify({
    ...{ schemaVersion: 1, phase: 'committed', generation: 3, planHash: 'abc', startLeaseMs: 1_000 },
    processes: [{ spec: trivialProcess('worker-0', { model: 'demo' }), wanted: true }],
    ...more,
  });
const lines = (name: string, text: string, epoch = '{"epoch":7,"owner":"ada@laptop 1"}') => [
  `agent ${name}`,
  `journal ${text}`,
  `epoch ${epoch}`,
];

it('a host’s part is what its agent’s journal says, under the name its plan had; idle and damaged ones are none', () => {
  const parts = readParts(
    [
      ...lines('gpu-1', journal({})),
      ...lines('gpu-2', journal({ phase: 'idle', processes: [] })),
      ...lines('gpu-3', '{"phase":'),
      ...lines('gpu-4', journal({}), ''),
      'end',
    ],
    entry,
  );
  expect(parts).toMatchObject([
    { entry: { name: 'gpu-1', address: '10.0.0.1' }, epoch: 7, owner: 'ada@laptop 1', journal: { generation: 3 } },
    { entry: { name: 'gpu-4' }, epoch: 0, owner: null },
  ]);
});

it('the record made of the parts is one of a deployment that is being stopped, and names its hosts and store', () => {
  const discovery = { backend: 'etcd', ttlMs: 2_000, endpoints: ['http://10.0.0.1:2379'] };
  const parts = [
    ...readParts(lines('gpu-1', journal({ generation: 2 })), entry),
    ...readParts(lines('gpu-2', journal({ discovery, processes: [{ spec: trivialProcess('worker-1') }] })), {
      ...entry,
      address: '10.0.0.2',
    }),
  ];
  expect(recordOf('fleet', parts)).toMatchObject({
    name: 'fleet',
    phase: 'stopping',
    generation: 3,
    hosts: [
      { name: 'gpu-1', address: '10.0.0.1' },
      { name: 'gpu-2', address: '10.0.0.2' },
    ],
    plan: { hosts: ['gpu-1', 'gpu-2'], models: ['demo'], discovery, stages: [['worker-0', 'worker-1']] },
  });
});
