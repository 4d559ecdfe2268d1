import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/base/errors.ts';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** The quickstart recipe on two hosts that have nothing of ours, by the command line alone. */
describe.skipIf(!hasTestHosts || !hasEtcd)('serve on two hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  const nothingRuns = async () => {
    for (const host of net.hosts)
      await waitFor(`nothing to run on ${host.name}`, () => host.processes().length === 0).catch((error: Error) => {
        throw new Error(`${error.message}: ${host.processes().join('; ')}`);
      });
  };
  const flags = (sandbox: Sandbox): string[] => {
    const entries = net.hosts.map((host) => JSON.stringify(net.entry(host)));
    const hosts = sandbox.file('hosts.yaml', `hosts:\n${entries.map((entry) => `  - ${entry}\n`).join('')}`);
    return ['--hosts', hosts, '--set', 'discovery.backend=etcd', '--set', 'discovery.managed=true'];
  };

  it('starts, answers, and leaves no process on any host', async () => {
    await using sandbox = new Sandbox();
    const served = await sandbox.run(
      'serve',
      'quickstart',
      '--detach',
      '--set',
      'frontend.port=auto',
      // ZeroMQ there is a native part of the kit.
      ...['--set', 'kvEvents=true'],
      ...flags(sandbox),
    );
    expect(served.stderr).not.toContain('error:');
    expect(served.code).toBe(0);
    const snapshot = await sandbox.status();
    expect(snapshot.state).toBe('ready');
    expect(new Set(snapshot.processes.map(({ host }) => host))).toEqual(new Set(['host-1', 'host-2']));
    await ask(snapshot.endpoint);
    const stopped = await sandbox.run('stop', 'quickstart');
    expect(stopped.code).toBe(0);
    await nothingRuns();
    await waitFor('nothing to run here', () => sandbox.processes().length === 0);
  });

  it('smoke goes through its whole life there, and every pair moves KV cache between them', async () => {
    await using sandbox = new Sandbox();
    const { code, stdout, stderr } = await sandbox.run('smoke', 'quickstart', '--json', ...flags(sandbox));
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; failure: string | null }[] };
    expect(checks.filter(({ failure }) => failure !== null)).toEqual([]);
    expect(checks.filter(({ name }) => name.endsWith('transfers KV blocks'))).toHaveLength(4);
    expect(checks.at(-1)?.name).toBe('leaves nothing');
    await nothingRuns();
    for (const host of net.hosts) expect(host.run('ls ~/.local/state/dynamo/deployments')).not.toContain('smoke-');
    await waitFor('nothing to run here', () => sandbox.processes().length === 0);
  });

  it('smoke names what stays on another host', async () => {
    await using sandbox = new Sandbox();
    const [, host] = net.hosts as [TestHost, TestHost];
    const args = ['smoke', 'quickstart', '--name', 'smoked', ...flags(sandbox)];
    // Somebody who takes the deployment's environment as soon as there is one, and will not go.
    const dir = '$HOME/.local/state/dynamo/deployments/smoked';
    const stray = `until [ -S ${dir}/agents/host-2/agent.sock ] || ls /tmp/dynamo-*/*.sock; do sleep 0.02; done; DYNAMO_DEPLOYMENT_DIR=${dir} exec setsid sleep 600`;
    const pid = host.run(`(${stray}) </dev/null >/dev/null 2>&1 & echo $!`).trim();
    const smoke = sandbox.start(...args);
    const code = await smoke.exited;
    host.run(`kill -KILL ${pid}`);
    expect(code).toBe(ERRORS.CHECK_FAILED.exit);
    expect(smoke.stdout).toMatch(/FAIL {2}leaves nothing .*\n {6}left behind: host-2: process \d+: sleep 600/);
  });
});
