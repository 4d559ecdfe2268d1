import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spawnController } from '../../../src/deployment/controller-client.ts';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { startRequest, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

/** One host that is not this machine runs everything, found through files: they lie on that host. */
describe.skipIf(!hasTestHosts || !hasEtcd)('one host elsewhere, without etcd', () => {
  let net: TestHosts;
  let host: TestHost;
  beforeAll(async () => {
    net = await TestHosts.start(1);
    host = net.hosts[0]!;
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  const records = () => host.run('find ~ -path "*discovery*" -type f').split('\n').filter(Boolean);
  const plan = (deployment: HostsDeployment, name: string) =>
    deployment.plan([trivialProcess(name, { host: 'host-1' })], { discovery: { backend: 'file', ttlMs: 2_000 } });

  it('starts, is adopted after its controller and agent died, and stops without a record left', async () => {
    await using deployment = await HostsDeployment.over(net);
    const wanted = plan(deployment, 'worker-0');
    const entries = [deployment.hostEntry(host)];
    await deployment.startOn(wanted, entries);
    const before = await deployment.ready();
    expect(records().some((file) => file.includes('commit.1'))).toBe(true);

    process.kill(before.controller!.pid, 'SIGKILL');
    host.run(`kill -KILL ${before.agents[0]!.pid}`);
    await waitFor('the controller to be gone', async () => (await deployment.snapshot()) === undefined);
    await deployment.startOn(wanted, entries);
    const after = await deployment.ready();
    expect(after.processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));
    expect(after.generation).toBe(before.generation);

    await deployment.stop();
    expect(records()).toEqual([]);
    await waitFor('nothing of ours to run there', () => host.processes().length === 0);
  });

  it.each([
    { at: 'commit:before', adopted: false },
    { at: 'commit:after', adopted: true },
  ])('knows after a crash at $at what the record on that host says', async ({ at, adopted }) => {
    await using deployment = await HostsDeployment.over(net);
    // Before the commit, the end of the lease is waited for.
    const wanted = { ...plan(deployment, 'worker-1'), startLeaseMs: adopted ? 20_000 : 6_000 };
    const request = { ...startRequest(deployment.dir, wanted), hosts: [deployment.hostEntry(host)] };
    process.env['DYNAMO_CRASH_AT'] = at;
    await spawnController(deployment.name, deployment.dir, request).catch(() => {});
    delete process.env['DYNAMO_CRASH_AT'];
    await waitFor('the controller to be dead', async () => (await deployment.snapshot()) === undefined, 30_000);
    const engines = () => host.processes().filter((line) => line.startsWith('sleep')).length;
    if (adopted) await waitFor('both processes to run on', () => engines() === 2);
    else await waitFor('everything to be undone', () => host.processes().length === 0);
    await spawnController(deployment.name, deployment.dir, request);
    const view = await deployment.ready();
    expect(view.generation).toBe(adopted ? 1 : 2);
    await deployment.stop();
    expect(records()).toEqual([]);
  });
});
