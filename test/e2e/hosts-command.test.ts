import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import type { LaunchPlan } from '../../src/plan/launch-plan.ts';
import { type CliResult, runCli } from '../helpers/run-cli.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';

const nvidiaSmi = readFileSync(path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus', 'nvidia-smi'), 'utf8');
/** A driver appears; a boot takes it away again. */
const giveGpus = (host: TestHost) =>
  host.run('mkdir /run/gpus; cat > /run/gpus/nvidia-smi; chmod 755 /run/gpus/nvidia-smi', nvidiaSmi);

describe.runIf(hasTestHosts)('dynamo hosts', () => {
  let hosts: TestHosts;
  const home = tmpDir();

  beforeAll(async () => {
    hosts = await TestHosts.start(3);
    for (const host of hosts.hosts) giveGpus(host);
  });
  afterAll(async () => {
    await hosts?.[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  const run = (...args: string[]): Promise<CliResult> => runCli(['hosts', ...args], { DYNAMO_HOME: home.dir });
  const file = (name: string, entries: readonly object[]): string =>
    hosts.file(name, JSON.stringify({ hosts: entries }));
  const withGpus = (index: number, over: object = {}) => ({
    ...hosts.entry(hosts.hosts[index]!),
    env: { PATH: '/run/gpus:/run/bin:/usr/local/bin:/usr/bin:/bin' },
    ...over,
  });

  it('checks several hosts and this machine at once', async () => {
    const hostsFile = file('ok.yaml', [{ name: 'local' }, withGpus(0, { labels: { rack: 'r1' } }), withGpus(1)]);
    const { code, stdout, stderr } = await run('check', '--hosts', hostsFile);
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    const [head, local, one, two] = stdout.split('\n');
    expect(head).toMatch(/^HOST +ADDRESS +REACHED +NODE +GPUS +RDMA +ENGINES +CLOCK +STRANGERS$/);
    expect(local).toMatch(/^local +this machine +/);
    for (const line of [one, two]) expect(line).toMatch(/2 × H100 80GB HBM3 .*GPU 1$/);
    for (const host of hosts.hosts.slice(0, 2))
      expect(stdout).toContain(
        `${host.name}: ${host.address}, on eth0, in ${host.address.replace(/\.\d+$/, '.0')}/24 like`,
      );
    expect(stdout).toMatch(/warning: host-1: GPU 1 is used by .*: pid 1, \/opt\/conda\/bin\/python, 68 GiB\n {2}fix: /);
  });

  it('says which host cannot be used, why, and what to do; the others are shown all the same', async () => {
    await hosts.hosts[2]!.kill();
    try {
      const hostsFile = file('bad.yaml', [withGpus(0, { gpus: [1, 5] }), withGpus(1), hosts.entry(hosts.hosts[2]!)]);
      const [{ code, stdout, stderr }, json] = await Promise.all([
        run('check', '--hosts', hostsFile),
        run('check', '--hosts', hostsFile, '--json'),
      ]);
      expect(code).toBe(4);
      expect(stdout).toMatch(/^host-2 .*2 × H100/m);
      expect(stdout).toMatch(/^host-3 +\S+ +no /m);
      expect(stdout).toMatch(/^error: host-3: .+\n {2}fix: /m);
      expect(stdout).toContain('error: host-1: the hosts file allows GPU 5, and nvidia-smi lists no such');
      expect(stderr).toContain('error: 2 of 3 hosts cannot be used: host-3, host-1 [HOST_UNREACHABLE]');

      expect(json.code).toBe(4);
      const report = JSON.parse(json.stdout) as {
        hosts: { name: string; usable: boolean; error: { code: string } | null }[];
      };
      expect(report.hosts.map(({ name, usable }) => [name, usable])).toEqual([
        ['host-1', false],
        ['host-2', true],
        ['host-3', false],
      ]);
      expect(report.hosts[2]?.error?.code).toBe('HOST_UNREACHABLE');
    } finally {
      await hosts.hosts[2]!.up();
      giveGpus(hosts.hosts[2]!);
    }
  });

  it('asks the hosts of a file before it plans, and says which of them do not answer', async () => {
    const hostsFile = file('plan.yaml', [withGpus(0), withGpus(1)]);
    const env = { DYNAMO_HOME: home.dir };
    const planned = await runCli(['plan', 'quickstart', '--hosts', hostsFile, '--json'], env);
    expect(planned.stderr).toBe('');
    const { plan } = JSON.parse(planned.stdout) as { plan: LaunchPlan };
    expect(plan.hosts).toEqual(['host-1', 'host-2']);
    for (const { host, url } of plan.processes)
      expect(url).toContain(`//${hosts.hosts.find(({ name }) => name === host)?.address}:`);
    const wrong = file('wrong.yaml', [withGpus(0, { gpus: [7] }), withGpus(1, { gpus: [8] })]);
    const refused = await runCli(['plan', 'quickstart', '--hosts', wrong], env);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('error: host-1, host-2 cannot be used [HOST_UNREACHABLE]');
    expect(refused.stderr).toContain('host-2: the hosts file allows GPU 8, and nvidia-smi lists no such');
  });

  it('sees that two entries are one machine', async () => {
    const hostsFile = file('twice.yaml', [
      withGpus(0),
      withGpus(0, { name: 'again', address: hosts.hosts[0]!.address6 }),
    ]);
    const { code, stdout } = await run('check', '--hosts', hostsFile);
    expect(stdout).toContain('error: host-1 and again are the same machine: one boot, one name (host-1)');
    expect(code).toBe(4);
  });

  it('records facts that plan takes, and remembers them for a host that is away', async () => {
    const hostsFile = file('show.yaml', [withGpus(0), withGpus(2, { labels: { rack: 'r3' }, gpus: [1] })]);
    const shown = await run('show', 'host-3', '--hosts', hostsFile, '--json');
    expect(shown.stderr).toBe('');
    const facts = JSON.parse(shown.stdout) as {
      gpus: object[];
      labels: object;
      clockSkewMs: number;
      clockUncertaintyMs: number;
    };
    expect(facts).toMatchObject({ name: 'host-3', labels: { rack: 'r3' }, driver: '580.65.06', nvlink: [[0]] });
    expect(facts.gpus).toHaveLength(1);
    // The same kernel, so the same clock.
    expect(Math.abs(facts.clockSkewMs)).toBeLessThanOrEqual(facts.clockUncertaintyMs);

    const recorded = hosts.file('facts.json', shown.stdout);
    const planned = await runCli(['plan', 'quickstart', '--facts', recorded, '--json'], { DYNAMO_HOME: home.dir });
    expect(planned.stderr).toBe('');
    expect(JSON.parse(planned.stdout)).toMatchObject({ plan: { hosts: ['host-3'] } });

    await hosts.hosts[2]!.kill();
    try {
      const kept = await run('show', 'host-3', '--hosts', hostsFile, '--cached');
      expect(kept.stdout).toMatch(/^host-3: host-3\n[\s\S]*driver 580\.65\.06/);
      const typo = await run('show', 'host-4', '--hosts', hostsFile);
      expect(typo).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('there is no host host-4; did you mean `host-'),
      });
    } finally {
      await hosts.hosts[2]!.up();
      giveGpus(hosts.hosts[2]!);
    }
  });

  it('cleans up what is stopped, and never what runs or was interrupted', async () => {
    const host = hosts.hosts[1]!;
    const hostsFile = file('clean.yaml', [{ ...hosts.entry(host), stateDir: '~/state', kitDir: '~/kits' }]);
    const where = host.run('printf %s "$HOME"');
    const make = (name: string, phase: string) =>
      host.run(
        `mkdir -p ~/state/deployments/${name}/agents/host-2 && printf '{"schemaVersion":1,"phase":"${phase}"}' > ~/state/deployments/${name}/agents/host-2/journal.json`,
      );
    host.run('mkdir -p ~/kits/0.1.0 && head -c 100000 /dev/zero > ~/kits/0.1.0/kit.js');
    make('old', 'idle');
    make('cut', 'committed');
    make('live', 'committed');
    host.run(
      `DYNAMO_DEPLOYMENT_DIR="$HOME/state/deployments/live" setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! > ~/pid; while ! grep -q ^sleep /proc/$(cat ~/pid)/cmdline; do sleep 0.02; done`,
    );
    const left = () => host.run('ls ~/state/deployments ~/kits').split('\n').filter(Boolean);

    const refused = await run('clean', '--hosts', hostsFile);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/refusing to remove 1 folder from host-2.*\n.*--yes/),
    });
    expect(refused.stdout).toContain('host-2: deployment live, ');
    expect(left()).toEqual(expect.arrayContaining(['old', 'cut', 'live', '0.1.0']));

    const first = await run('clean', '--hosts', hostsFile, '--yes', '--json');
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      hosts: [
        {
          name: 'host-2',
          removed: [{ kind: 'deployment', name: 'old', path: `${where}/state/deployments/old` }],
          kept: [
            { name: 'cut', reason: expect.stringMatching(/interrupted.*dynamo stop cut/) },
            { name: 'live', reason: expect.stringMatching(/runs.*dynamo stop live/) },
            { kind: 'kit', reason: 'a deployment runs on this host' },
          ],
        },
      ],
    });
    expect(left()).not.toContain('old');

    // `$HOME` of a login and of this test may differ in their `..`; the process is ended by its own pid.
    host.run(
      'pid=$(cat ~/pid); kill -KILL $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done; rm ~/pid; rm -r ~/state/deployments/cut; printf {} > ~/state/deployments/live/agents/host-2/journal.json',
    );
    const second = await run('clean', 'host-2', '--hosts', hostsFile, '--yes');
    expect(second.stdout).toMatch(/host-2: removed 2, /);
    expect(host.run('find ~/state/deployments ~/kits -mindepth 1')).toBe('');
  });
});

describe('dynamo hosts without a hosts file', () => {
  it('looks at this machine', async () => {
    using home = tmpDir();
    const { code, stdout } = await runCli(['hosts', 'check', '--json'], { DYNAMO_HOME: home.dir });
    expect([0, 4]).toContain(code);
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      hosts: [{ name: 'local', facts: { name: 'local' } }],
    });
  });

  it('shows what is wrong with a hosts file', async () => {
    using home = tmpDir();
    const file = path.join(home.dir, 'hosts.yaml');
    writeFileSync(file, 'hosts:\n  - { name: a, adress: b }\n');
    const { code, stderr } = await runCli(['hosts', 'check', '--hosts', file], { DYNAMO_HOME: home.dir });
    expect(code).toBe(3);
    expect(stderr).toContain(':2:16: unknown key `adress` in `hosts[0]`; did you mean `address`?');
    rmSync(file);
  });
});
