import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

describe.skipIf(!hasTestHosts || !hasEtcd)('a GPU that another deployment reserves between plan and start', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  it('on one host: nothing runs on any, the message says who has it, and the next start is whole', async () => {
    const two = net.hosts[1]!;
    await using deployment = await HostsDeployment.over(net);
    const processes = net.hosts.map(({ name }, index) =>
      trivialProcess(`worker-${index}`, { host: name, gpus: [index] }),
    );
    const entries = net.hosts.map((host) => deployment.hostEntry(host));
    const file = '/run/lock/dynamo/gpu-1.lock';
    const holder = two
      .run(
        `mkdir -p -m 1777 /run/lock/dynamo; echo 'ada (prefill-0)' > ${file}; flock -x ${file} sleep 600 </dev/null >/dev/null 2>&1 & echo $!`,
      )
      .trim();
    await waitFor('the lock to be held', () => two.run(`flock -n ${file} true || echo held`).trim() === 'held');
    await deployment.startOn(deployment.plan(processes), entries);
    const { error } = await deployment.failed();
    expect(error).toMatchObject({ code: 'GPU_UNAVAILABLE', message: 'GPU 1 of host-2 is reserved by ada (prefill-0)' });
    two.run(`kill -KILL $(cat /proc/${holder}/task/${holder}/children) ${holder}`);
    for (const host of net.hosts)
      await waitFor(`nothing to run on ${host.name}`, () => host.processes().length === 0, 30_000);
    await deployment.startOn(deployment.plan(processes), entries);
    expect((await deployment.ready()).generation).toBe(2);
    await deployment.stop();
  });
});
