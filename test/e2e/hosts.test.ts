import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';

/** The quickstart recipe on two hosts that have nothing of ours, by the command line alone. */
describe.skipIf(!hasTestHosts || !hasEtcd)('serve on two hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  it('starts, answers, and leaves no process on any host', async () => {
    await using sandbox = new Sandbox();
    const entries = net.hosts.map((host) => JSON.stringify(net.entry(host)));
    const hosts = sandbox.file('hosts.yaml', `hosts:\n${entries.map((entry) => `  - ${entry}\n`).join('')}`);
    const settings = ['frontend.port=auto', 'discovery.backend=etcd', 'discovery.managed=true'];
    const flags = settings.flatMap((setting) => ['--set', setting]);
    const served = await sandbox.run('serve', 'quickstart', '--hosts', hosts, '--detach', ...flags);
    expect(served.stderr).not.toContain('error:');
    expect(served.code).toBe(0);
    const snapshot = await sandbox.status();
    expect(snapshot.state).toBe('ready');
    expect(new Set(snapshot.processes.map(({ host }) => host))).toEqual(new Set(['host-1', 'host-2']));
    await ask(snapshot.endpoint);
    const stopped = await sandbox.run('stop', 'quickstart');
    expect(stopped.code).toBe(0);
    for (const host of net.hosts) expect(host.processes()).toEqual([]);
    expect(sandbox.processes()).toEqual([]);
  });
});
