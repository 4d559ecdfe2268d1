import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

/** Controller here, agents on two hosts, trivial processes. */
describe.skipIf(!hasTestHosts || !hasEtcd)('a deployment over two hosts', () => {
  let net: TestHosts;
  let one: TestHost;
  let two: TestHost;
  beforeAll(async () => {
    net = await TestHosts.start(2);
    [one, two] = net.hosts as [TestHost, TestHost];
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  const sleepers = (host: TestHost) => host.processes().filter((line) => line.startsWith('sleep')).length;
  const spread = () => [trivialProcess('worker-0', { host: 'host-1' }), trivialProcess('worker-1', { host: 'host-2' })];

  it('starts, becomes ready, stops, and leaves no process, socket or lock on any host', async () => {
    await using deployment = await HostsDeployment.over(net);
    const entries = [one, two].map((host) => deployment.hostEntry(host));
    await deployment.startOn(deployment.plan(spread()), entries);
    const view = await deployment.ready();
    expect(view.processes.map(({ name, host, state }) => ({ name, host, state }))).toEqual([
      { name: 'worker-0', host: 'host-1', state: 'ready' },
      { name: 'worker-1', host: 'host-2', state: 'ready' },
    ]);
    for (const host of [one, two]) await waitFor(`both processes on ${host.name}`, () => sleepers(host) === 2);
    await deployment.stop();
    for (const host of [one, two]) {
      await waitFor(`nothing of ours to run on ${host.name}`, () => host.processes().length === 0);
      expect(host.run('for f in $(find ~ /tmp /run -name "*.lock"); do flock -n $f true || echo held $f; done')).toBe(
        '',
      );
      expect(host.run('find ~ /tmp /run -type s -path "*dynamo*"').trim()).toBe('');
    }
  });

  it('sends secrets to the processes that name them, and to nothing else', async () => {
    await using deployment = await HostsDeployment.over(net);
    process.env['TEST_SENT_SECRET'] = 's3cret-value';
    try {
      const worker = trivialProcess('worker-0', {
        host: 'host-1',
        env: {
          TOKEN: { fromEnv: 'TEST_SENT_SECRET' },
          FILE: { fromFile: deployment.net.file('token', 'from-a-file\n') },
        },
        argv: ['/bin/sh', '-c', 'printf "%s %s" "$TOKEN" "$FILE" > /tmp/got; exec sleep 600'],
      });
      await deployment.startOn(deployment.plan([worker]), [deployment.hostEntry(one)]);
      await deployment.ready();
      await waitFor('what it got', () => one.run('cat /tmp/got 2>/dev/null || true') === 's3cret-value from-a-file');
      expect(one.run(`grep -rlE 's3cret-value|from-a-file' ~ || true`)).toBe('');
      expect(one.run(`for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; done 2>/dev/null`)).not.toContain(
        's3cret-value',
      );
    } finally {
      delete process.env['TEST_SENT_SECRET'];
    }
    await deployment.stop();
  });

  it('goes on through a cut link, and is attended again when it is mended', async () => {
    await using deployment = await HostsDeployment.over(net);
    await deployment.startOn(
      deployment.plan(spread()),
      [one, two].map((host) => deployment.hostEntry(host)),
    );
    const before = await deployment.ready();
    one.wire('cut');
    try {
      await deployment.becomes('without a line to host-1', ({ agents }) =>
        agents.some(({ host, pid }) => host === 'host-1' && pid === null),
      );
      expect(sleepers(one)).toBe(2);
    } finally {
      one.wire('whole');
    }
    const after = await deployment.ready();
    expect(after.processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));
    expect(after.agents.map(({ pid }) => pid)).toEqual(before.agents.map(({ pid }) => pid));
    await deployment.stop();
  });
});
