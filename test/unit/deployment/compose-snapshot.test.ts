import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { ageStatus, composeSnapshot, type SnapshotParts } from '../../../src/deployment/compose-snapshot.ts';
import type { DeploymentRecord, PendingChange } from '../../../src/deployment/record.ts';
import { makeRecord, makeStatus } from '../../helpers/snapshots.ts';

const record = makeRecord();
const compose = (parts: Partial<SnapshotParts> = {}) =>
  composeSnapshot({
    record,
    epoch: 3,
    controllerPid: 98,
    agents: new Map([['local', makeStatus(parts.record ?? record)]]),
    ...parts,
  });
const none = new Map();
const states = (snapshot: ReturnType<typeof compose>) => snapshot.processes.map((process) => process.state);

describe('composeSnapshot', () => {
  it('is ready when every process is', () => {
    expect(compose()).toMatchObject({
      state: 'ready',
      unattended: false,
      epoch: 3,
      controller: { pid: 98 },
      agents: [{ host: 'local', pid: 99, state: 'connected' }],
      pairs: [{ prefill: 'prefill-0', decode: 'decode-0', state: 'proven', detail: '12 ms' }],
      endpoint: 'http://127.0.0.1:8000',
    });
  });

  it.each(['backoff', 'failed', 'draining', 'exited', 'starting'] as const)('is degraded when one is %s', (state) => {
    const agents = new Map([['local', makeStatus(record, { 'decode-0': { state } })]]);
    expect(compose({ agents }).state).toBe('degraded');
  });

  it.each(['starting', 'proved', 'published'] as const)(
    'is starting while an agent was last heard to be %s',
    (phase) => {
      const agents = new Map([['local', makeStatus(record, {}, { phase })]]);
      expect(compose({ agents }).state).toBe('starting');
    },
  );

  it('is what it was while a host joins for a change, however far its agent is', () => {
    const joining = { ...record.plan.processes[1]!, name: 'decode-1', host: 'host-3' };
    const change = { ...({} as PendingChange), what: 'decode 1 → 2', added: [joining], removed: [] };
    const changing = makeRecord({ change });
    for (const phase of ['prepared', 'starting', 'proved', 'published'] as const) {
      const agents = new Map([
        ['local', makeStatus(record)],
        ['host-3', makeStatus(record, {}, { host: 'host-3', phase, processes: [] })],
      ]);
      expect(compose({ record: changing, agents }).state).toBe('ready');
    }
  });

  it('is starting before the commit, whatever its processes say', () => {
    const starting = makeRecord({ phase: 'starting' });
    expect(compose({ record: starting }).state).toBe('starting');
    const early = compose({ record: starting, agents: none });
    expect(early).toMatchObject({ state: 'starting', agents: [{ state: 'lost', pid: null }] });
    expect(states(early)).toEqual(['pending', 'pending', 'pending']);
    expect(early.pairs[0]?.state).toBe('unproven');
  });

  it('is unattended without a controller, and its processes are still known from the agent', () => {
    const view = compose({ controllerPid: null });
    expect(view).toMatchObject({ state: 'ready', unattended: true, controller: null });
    expect(view.processes[0]?.pid).toBe(100);
  });

  it('does not call dead what nobody speaks for', () => {
    const view = compose({ controllerPid: null, agents: none });
    expect(view).toMatchObject({ state: 'degraded', unattended: true });
    expect(states(view)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(view.processes[0]?.waitingFor).toBe('an agent on local');
  });

  it('keeps why it failed; its processes are gone', () => {
    const error = new DynamoError('NOT_READY', 'too slow', { details: ['last line'] }).toJSON();
    const view = compose({ record: makeRecord({ phase: 'failed', error }), controllerPid: null, agents: none });
    expect(view).toMatchObject({ state: 'failed', unattended: false, error });
    expect(states(view)).toEqual(['exited', 'exited', 'exited']);
    expect(view.processes[0]?.waitingFor).toBeNull();
  });

  it('of a stop that could not reach all hosts: what was stopped is gone, only the rest is unknown', () => {
    const half = makeRecord({ phase: 'stopping', stoppedHosts: ['local'] });
    const view = compose({ record: half, controllerPid: null, agents: none });
    expect(view.agents.map(({ state }) => state)).toEqual(['stopped']);
    expect(states(view)).toEqual(['exited', 'exited', 'exited']);
    // Once it was started again, that says nothing any more.
    const again = compose({ record: { ...half, phase: 'committed' }, controllerPid: null, agents: none });
    expect(again.agents.map(({ state }) => state)).toEqual(['lost']);
  });

  it('says which agent is in doubt', () => {
    const agents = new Map([['local', makeStatus(record, {}, { inDoubt: true })]]);
    expect(compose({ agents }).agents).toEqual([{ host: 'local', pid: 99, state: 'in-doubt', storeProblem: null }]);
  });

  it('lists a process the agent has not heard of yet as pending', () => {
    const agents = new Map([['local', { ...makeStatus(record), processes: [] }]]);
    expect(states(compose({ agents }))).toEqual(['pending', 'pending', 'pending']);
  });

  it('shows the GPUs and links of a host that its hosts file allows', () => {
    const gpus = [0, 1, 2].map((index) => ({
      ...{ index, name: 'H100', utilisation: 7, powerW: null, temperatureC: null },
      ...{ memoryUsedBytes: 1, memoryBytes: 2 },
    }));
    const links = ['mlx5_0', 'mlx5_1/2', 'eth0', 'eth1'].map((name) => ({
      ...{ name, kind: name.startsWith('mlx') ? ('rdma' as const) : ('ethernet' as const) },
      ...{ up: true, state: 'up', rateGbps: null },
    }));
    const agents = new Map([['local', makeStatus(record, {}, { gpus, links })]]);
    expect(compose({ agents }).hosts?.[0]).toMatchObject({ gpus, links });
    const local = { selfCommand: [], discoveryRoot: '/', gpus: [1], nics: ['eth1', 'mlx5_1'] };
    const limited = makeRecord({
      planInput: { facts: [], hosts: { local } } as unknown as NonNullable<DeploymentRecord['planInput']>,
    });
    const host = compose({ record: limited, agents }).hosts![0]!;
    expect(host.gpus.map(({ index }) => index)).toEqual([1]);
    expect(host.links.map(({ name }) => name)).toEqual(['mlx5_1/2', 'eth1']);
    const none = makeRecord({
      planInput: { facts: [], hosts: { local: { ...local, gpus: [] } } } as unknown as NonNullable<
        DeploymentRecord['planInput']
      >,
    });
    expect(compose({ record: none, agents }).hosts![0]!.gpus).toEqual([]);
  });

  it('survives JSON unchanged', () => {
    expect(JSON.parse(JSON.stringify(compose()))).toEqual(compose());
  });
});

describe('ageStatus', () => {
  it('adds the time since it was heard to every state, and changes nothing else', () => {
    const status = makeStatus(record);
    const aged = ageStatus(status, 1_000.4);
    expect(aged.processes.map((process) => process.inStateMs)).toEqual([62_000, 62_000, 62_000]);
    expect({ ...aged, processes: [] }).toEqual({ ...status, processes: [] });
    expect(status.processes[0]?.inStateMs).toBe(61_000);
  });
});
