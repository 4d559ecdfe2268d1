import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { supervisors } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf } from '../helpers/fleet.ts';
import { SWITCHED_MOCKER } from '../helpers/host-switches.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

const PATIENT = 'startTimeout: 1m, restart: { initialBackoff: 100ms, maxBackoff: 1s, maxRestarts: 100 }';

/** One worker a role on three hosts: the third has nothing to run. */
describe.skipIf(!hasTestHosts || !hasEtcd)('scale to a host that runs nothing yet', () => {
  let fleet: Fleet;
  let spare: TestHost;
  let first: DeploymentSnapshot;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 3,
      workers: `{ prefill: { ${PATIENT} }, decode: { command: ${SWITCHED_MOCKER}, ${PATIENT} } }`,
    });
    first = await fleet.served();
    const used = first.processes.map(({ host }) => host);
    spare = fleet.net.hosts.find(({ name }) => !used.includes(name))!;
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());
  afterEach(() => {
    spare.wire('whole');
    spare.run('rm -f /tmp/hang /tmp/poison');
  });

  const hostsOf = ({ agents }: DeploymentSnapshot) => agents.map(({ host }) => host);
  const isBare = () => waitFor(`nothing to run on ${spare.name}`, () => spare.processes().length === 0, 60_000);
  /** As it was at first: no process was touched, and the spare host has no part. */
  const asBefore = async () => {
    await fleet.ready();
    const now = await fleet.is('as it was at first', (view) => {
      const isWhole = view.state === 'ready' && view.change === null && view.scaled.length === 0;
      return isWhole && !hostsOf(view).includes(spare.name);
    });
    expect(pidsOf(now)).toEqual(pidsOf(first));
    await isBare();
    return now;
  };

  it('has no agent there at first', async () => {
    expect(hostsOf(first)).toEqual(['host-1', 'host-2']);
    await isBare();
  });

  it('puts a worker there under load, and takes worker and agent away again; nothing is lost', async () => {
    const since = Date.now();
    const traffic = steadyLoad(first.endpoint, 3);
    const up = await fleet.box.run('scale', 'decode=2');
    expect(up, up.stderr).toMatchObject({ code: 0, stdout: 'decode: 1 → 2 workers\n' });
    await fleet.ready();
    const grown = await fleet.is('both pairs to be proven', ({ pairs }) =>
      ['proven', 'proven'].every((state, at) => pairs[at]?.state === state),
    );
    expect(grown.pairs).toHaveLength(2);
    expect(named(grown, 'decode-1')).toMatchObject({ host: spare.name, state: 'ready' });
    expect(hostsOf(grown)).toEqual(['host-1', 'host-2', spare.name]);
    expect(pidsOf(grown, 'decode-1')).toEqual(pidsOf(first));
    const seen = traffic.answered();
    await waitFor('more load', () => traffic.answered() > seen + 20, 60_000);
    // Logs are read there, too, and a controller that comes next finds it.
    const logs = await fleet.box.run('logs', 'decode-1');
    expect(logs.code, logs.stderr).toBe(0);
    const down = await fleet.box.run('scale', 'decode=1');
    expect(down, down.stderr).toMatchObject({ code: 0 });
    await asBefore();
    expect(await traffic.end()).toEqual([]);
    await waitFor('both to be told', () => fleet.events(since, 'host').length > 1);
    expect(fleet.events(since, 'host')).toEqual([
      `host  ${spare.name} takes part from now on`,
      `host  ${spare.name} has nothing to run any more: its agent has ended`,
    ]);
  });

  it('a worker that crashes there: taken back, no agent stays', async () => {
    spare.run('touch /tmp/poison');
    const { code, stderr } = await fleet.box.run('scale', 'decode=2');
    expect(code).toBe(5);
    expect(stderr).toContain('poisoned');
    await asBefore();
  });

  it('a host that cannot be reached gets nothing, and that is said; the others get it', async () => {
    spare.killSshd();
    const up = await fleet.box.run('scale', 'decode=2');
    await spare.startSshd();
    expect(up, up.stderr).toMatchObject({ code: 0 });
    expect(up.stderr).toContain(`nothing new is put on ${spare.name}`);
    const grown = await fleet.ready();
    expect(named(grown, 'decode-1').host).not.toBe(spare.name);
    expect(await fleet.box.run('scale', 'decode=1')).toMatchObject({ code: 0 });
    await asBefore();
  });

  it.each(['reserve:after', 'settle:before', 'change-reserve:after', 'change-publish:after'])(
    'the agent there is killed at %s: the next one goes on, and nothing runs twice',
    async (step) => {
      const { controller } = supervisors(await fleet.ready());
      process.kill(controller, 'SIGKILL');
      await fleet.is('no controller', ({ unattended }) => unattended);
      fleet.box.env['DYNAMO_CRASH_AT'] = `${step}:${spare.name}`;
      await fleet.served();
      delete fleet.box.env['DYNAMO_CRASH_AT'];
      const up = await fleet.box.run('scale', 'decode=2');
      expect(up.code, up.stderr).toBe(0);
      const grown = await fleet.ready();
      expect(named(grown, 'decode-1')).toMatchObject({ host: spare.name, state: 'ready' });
      const shims = () => spare.processes().filter((line) => line.includes('/shim.sh '));
      await waitFor('one to run there', () => shims().length === 1).catch((error: Error) => {
        throw new Error(`${error.message}: ${shims().join('; ')}`);
      });
      expect(await fleet.box.run('scale', 'decode=1')).toMatchObject({ code: 0 });
      await asBefore();
    },
  );

  it.each([
    ['taken back by the one that comes next, no agent stays', true],
    ['and nobody comes: that host takes its part back by itself', false],
  ])('the controller is killed in the middle: %s', async (_what, comesAtOnce) => {
    spare.run('touch /tmp/hang');
    const asked = fleet.box.run('scale', 'decode=2');
    const now = await fleet.is('the new worker to start', ({ processes }) =>
      processes.some(({ name, state }) => name === 'decode-1' && state === 'starting'),
    );
    process.kill(supervisors(now).controller, 'SIGKILL');
    expect((await asked).code).not.toBe(0);
    if (!comesAtOnce) await isBare();
    await fleet.served();
    await asBefore();
  });

  it('the link is cut in the middle: the change is taken back and that is told; that host is let go of when it is back', async () => {
    spare.run('touch /tmp/hang');
    const asked = fleet.box.run('scale', 'decode=2');
    await fleet.is('the new worker to start', ({ processes }) =>
      processes.some(({ name, state }) => name === 'decode-1' && state === 'starting'),
    );
    spare.wire('cut');
    const { code, stderr } = await asked;
    expect(code).not.toBe(0);
    expect(stderr).toContain(`no agent answers on ${spare.name}`);
    const meanwhile = await fleet.box.status('fleet');
    expect(pidsOf(meanwhile)).toEqual(pidsOf(first));
    spare.wire('whole');
    await fleet.is('the host to be let go', (snapshot) => !hostsOf(snapshot).includes(spare.name));
    await asBefore();
  });

  it('the link is cut before what goes can be told: the change stands, that is told, and it ends by itself when the link is back', async () => {
    expect(await fleet.box.run('scale', 'decode=2')).toMatchObject({ code: 0 });
    expect(named(await fleet.ready(), 'decode-1').host).toBe(spare.name);
    spare.wire('cut');
    await fleet.is('the host to be away', ({ agents }) =>
      agents.some(({ host, pid }) => host === spare.name && pid === null),
    );
    const asked = await fleet.box.run('scale', 'decode=1');
    expect(asked.code).not.toBe(0);
    expect(asked.stderr).toContain(`no agent answers on ${spare.name}`);
    expect(asked.stderr).toContain('The change is committed');
    expect((await fleet.box.run('scale', 'decode=3')).stderr).toContain('is busy');
    spare.wire('whole');
    await fleet.is('the change to end', ({ change }) => change === null);
    await fleet.is('the host to be let go', (snapshot) => !hostsOf(snapshot).includes(spare.name));
    await asBefore();
  });

  it('stops without a trace on any host', () => fleet.stopsClean());
});
