import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/base/errors.ts';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';

/** The quickstart recipe on two hosts that have nothing of ours, by the command line alone. */
describe.skipIf(!hasTestHosts || !hasEtcd)('serve on two hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

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
    for (const host of net.hosts) expect(host.processes()).toEqual([]);
    expect(sandbox.processes()).toEqual([]);
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
    for (const host of net.hosts) {
      expect(host.processes()).toEqual([]);
      expect(host.run('ls ~/.local/state/dynamo/deployments')).not.toContain('smoke-');
    }
    expect(sandbox.processes()).toEqual([]);
  });

  it('smoke names what stays on another host', async () => {
    await using sandbox = new Sandbox();
    const [, host] = net.hosts as [TestHost, TestHost];
    const args = ['smoke', 'quickstart', '--name', 'smoked', ...flags(sandbox)];
    // Somebody who took the deployment's environment and will not go.
    const stray = 'DYNAMO_DEPLOYMENT_DIR=$HOME/.local/state/dynamo/deployments/smoked setsid sleep 600';
    const smoke = sandbox.start(...args);
    await smoke.readUntil(/ok {4}starts and is ready/);
    const pid = host.run(`${stray} >/dev/null 2>&1 & echo $!`).trim();
    const code = await smoke.exited;
    host.run(`kill ${pid}`);
    expect(code).toBe(ERRORS.CHECK_FAILED.exit);
    expect(smoke.stdout).toMatch(/FAIL {2}leaves nothing .*\n {6}left behind: host-2: process \d+: sleep 600/);
  });
});
