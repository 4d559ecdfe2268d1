import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** Secrets that stand in the environment of `serve` only, on hosts that get them through SSH. */
describe.skipIf(!hasTestHosts || !hasEtcd)('secrets on other hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  it('outlive controller and agent that are killed together, in the processes and in no file', async () => {
    await using sandbox = new Sandbox();
    const secret = `secret-${randomUUID()}`;
    const env =
      '{ env: { HF_TOKEN: { fromEnv: TEST_HUB_TOKEN } }, restart: { initialBackoff: 200ms, maxBackoff: 1s } }';
    const recipe = sandbox.file(
      'fleet.yaml',
      `name: fleet\nmodel: mock-model\nengine: mocker\nfrontend: { port: auto }\ndiscovery: { backend: etcd, managed: true }\n` +
        `workers: { prefill: ${env}, decode: ${env} }\n`,
    );
    const hosts = sandbox.file('hosts.yaml', JSON.stringify({ hosts: net.hosts.map((host) => net.entry(host)) }));
    const serve = async (token: string | undefined) => {
      if (token === undefined) delete sandbox.env['TEST_HUB_TOKEN'];
      else sandbox.env['TEST_HUB_TOKEN'] = token;
      const { code, stderr } = await sandbox.run('serve', recipe, '--hosts', hosts, '--detach');
      expect(code, stderr).toBe(0);
      return sandbox.ready('fleet');
    };
    const hostOf = (name: string): TestHost => net.hosts.find((host) => host.name === name)!;

    const served = await serve(secret);
    process.kill(served.controller!.pid, 'SIGKILL');
    for (const { host, pid } of served.agents) hostOf(host).run(`kill -KILL ${pid}`);
    await waitFor('the controller to be gone', async () => (await sandbox.status('fleet')).unattended);
    const adopted = await serve(undefined);
    for (const { name, host, pid } of adopted.processes.filter(({ role }) => role === 'prefill' || role === 'decode')) {
      hostOf(host).run(`kill -KILL ${pid}`);
      const back = await waitFor(`${name} to be back`, async () => {
        const { processes } = await sandbox.status('fleet');
        const now = processes.find((process) => process.name === name)!;
        return now.state === 'ready' && now.pid !== null && now.pid !== pid ? now : undefined;
      });
      expect(hostOf(host).run(`tr '\\0' '\\n' </proc/${back.pid}/environ`)).toContain(`HF_TOKEN=${secret}`);
    }
    for (const host of net.hosts) {
      expect(host.run(`grep -rlF ${secret} ~/.local /tmp /run 2>/dev/null || true`)).toBe('');
      expect(host.processes().filter((line) => line.includes(secret))).toEqual([]);
    }
    expect((await sandbox.run('stop', 'fleet')).code).toBe(0);
  });
});
