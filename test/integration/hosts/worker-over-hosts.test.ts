import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setupsOf } from '../../../src/commands/plan-for-hosts.ts';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { waitFor } from '../../helpers/until.ts';

/** A plan of the real planner for the test hosts. */
async function planOn(deployment: HostsDeployment, workers: string): Promise<LaunchPlan> {
  const { discovery } = deployment.plan([]);
  const endpoint = discovery.backend === 'etcd' ? discovery.endpoints[0] : '';
  const entries = deployment.net.hosts.map((host) => deployment.hostEntry(host));
  const facts = deployment.net.hosts.map((host, index) => {
    const home = host.run('printf %s "$HOME"').trim();
    return recordedFacts('no-gpu', { name: host.name, address: entries[index]!.address, home });
  });
  return planText(
    `name: ${deployment.name}
model: demo
engine: mocker
discovery: { backend: etcd, endpoints: ['${endpoint}'], ttl: 10s }
frontend: { startTimeout: 3m }
workers: ${workers}
`,
    facts,
    { hosts: await setupsOf(entries, facts, deployment.name, process.env) },
  );
}

async function answer(plan: LaunchPlan): Promise<number> {
  const response = await fetch(`${plan.endpoint}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', prompt: 'x', max_tokens: 2 }),
  }).catch(() => undefined);
  return response?.status ?? 0;
}

describe.skipIf(!hasTestHosts || !hasEtcd)('workers planned for two hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  it('hand KV cache over between hosts: every pair is proven before the first request', async () => {
    await using deployment = await HostsDeployment.over(net);
    const plan = await planOn(
      deployment,
      '{ prefill: { replicas: 2, startTimeout: 3m }, decode: { replicas: 2, startTimeout: 3m } }',
    );
    const hosts = new Map(plan.processes.map(({ name, host }) => [name, host]));
    const crossing = plan.pairs.filter(({ prefill, decode }) => hosts.get(prefill) !== hosts.get(decode));
    expect([plan.pairs.length, crossing.length]).toEqual([4, 2]);
    await deployment.startOn(
      plan,
      net.hosts.map((host) => deployment.hostEntry(host)),
    );
    const view = await deployment.ready();
    expect(view.pairs.map(({ state }) => state)).toEqual(['proven', 'proven', 'proven', 'proven']);
    expect(await answer(plan)).toBe(200);
    await deployment.stop();
  }, 240_000);

  it('may span both: planned, started, served by the leader, and whole again after one of it died', async () => {
    await using deployment = await HostsDeployment.over(net);
    const plan = await planOn(deployment, '{ aggregated: { nodes: 2, startTimeout: 3m } }');
    expect(plan.processes.map(({ name, host }) => `${name} on ${host}`)).toEqual([
      'aggregated-0 on host-1',
      'aggregated-0-node1 on host-2',
      'frontend on host-1',
    ]);
    const entries = net.hosts.map((host) => deployment.hostEntry(host));
    await deployment.startOn(plan, entries);
    const ready = await deployment.ready();
    expect(await answer(plan)).toBe(200);
    const models = (await (await fetch(`${plan.endpoint}/health`)).json()) as object;
    // A follower is nobody to be sent requests.
    expect(JSON.stringify(models)).not.toContain('node1');

    const follower = ready.processes.find(({ name }) => name === 'aggregated-0-node1');
    net.hosts[1]!.run(`kill -KILL ${follower?.pid}`);
    await deployment.becomes('whole again', ({ processes }) =>
      processes
        .filter(({ name }) => name.startsWith('aggregated'))
        .every(({ state, restarts }) => state === 'ready' && restarts > 0),
    );
    await waitFor('an answer', async () => (await answer(plan)) === 200);
    await deployment.stop();
    for (const host of net.hosts)
      await waitFor(`nothing of ours to run on ${host.name}`, () => host.processes().length === 0);
  }, 240_000);
});
