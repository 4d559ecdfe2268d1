import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';
import { waitFor } from '../helpers/until.ts';

/** A hundred MiB are copied, on a machine that may have other work. */
const PATIENCE_MS = 120_000;

/** dynamo and a Node, near 100 MiB, on their way to two hosts that have neither: what a user sees of it. */
describe.skipIf(!hasTestHosts || !hasEtcd)('copying dynamo to hosts', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(2, { node: 'none' });
    // Each copy is to be seen for a few seconds.
    net.wires.slowDown(300);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  const flags = (sandbox: Sandbox): string[] => {
    const hosts = JSON.stringify({ hosts: net.hosts.map((host) => net.entry(host)) });
    const set = ['discovery.backend=etcd', 'discovery.managed=true', 'frontend.port=auto'];
    return ['--hosts', sandbox.file('hosts.yaml', hosts), ...set.flatMap((one) => ['--set', one])];
  };
  const forget = () => {
    for (const host of net.hosts) host.run('rm -rf ~/.local/share/dynamo ~/.local/state/dynamo');
  };

  it.runIf(hasTmux)('shows a bar a host on a terminal, and none when it is over', async () => {
    const columns = 80;
    forget();
    await using sandbox = new Sandbox();
    const env = { ...sandbox.env, TERM: 'xterm-256color' };
    const args = ['serve', 'quickstart', '--no-tui', '--detach', ...flags(sandbox)];
    using terminal = new TmuxTerminal(args, env, { columns, rows: 40 });
    const during = await terminal.shows(/^host-1 .*█.* % of \d+(\.\d+)? MiB.*\nhost-2 .* MiB/m, PATIENCE_MS);
    for (const line of during.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    expect(await terminal.exitStatus(PATIENCE_MS)).toBe(0);
    const all = terminal.everything();
    expect(all).not.toMatch(/[█░]/);
    expect(all).toMatch(/^copied dynamo to host-1, host-2: \d+ MiB in \d/m);
    expect(all.match(/^host-\d/gm)).toBeNull();
    expect(all).toMatch(/^quickstart is ready in /m);
    expect((await sandbox.run('stop', 'quickstart')).code).toBe(0);
  });

  it.runIf(hasTmux)('leaves no bar, and nothing that runs on the hosts, when it is interrupted', async () => {
    forget();
    await using sandbox = new Sandbox();
    const env = { ...sandbox.env, TERM: 'xterm-256color' };
    using terminal = new TmuxTerminal(['serve', 'quickstart', '--no-tui', ...flags(sandbox)], env, {
      columns: 80,
      rows: 40,
    });
    await terminal.shows(/^host-1 .* MiB/m, PATIENCE_MS);
    terminal.press('C-c');
    await terminal.exitStatus(PATIENCE_MS);
    const all = terminal.everything();
    expect(all).not.toMatch(/[█░]|being unpacked/);
    expect(all).toMatch(/^stopping quickstart/m);
    for (const host of net.hosts) await waitFor(`nothing to run on ${host.name}`, () => host.processes().length === 0);
  });

  it('prints lines elsewhere, and tells begin and end in its events', async () => {
    forget();
    await using sandbox = new Sandbox();
    const { code, stdout } = await sandbox.run('serve', 'quickstart', '--detach', ...flags(sandbox));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^copied dynamo to host-1, host-2: \d+ MiB in /m);
    for (const sign of ['█', '\u001b']) expect(stdout).not.toContain(sign);
    const kit = sandbox
      .events()
      .filter(({ type }) => type === 'kit')
      .map(({ message }) => message.replace(/ \S+ (to|in)/, ' WHAT $1'));
    for (const host of ['host-1', 'host-2'])
      expect(kit.filter((message) => message.includes(host))).toEqual([
        expect.stringMatching(/^copying .*: \d/),
        expect.stringMatching(/^copied .* in /),
        expect.stringMatching(/^copying .*: \d/),
        expect.stringMatching(/^copied .* in /),
      ]);
    // What is there is not copied again, and nothing is said of it.
    expect((await sandbox.run('stop', 'quickstart')).code).toBe(0);
    const again = await sandbox.run('serve', 'quickstart', '--detach', ...flags(sandbox));
    // But for what was built anew meanwhile.
    expect(again.stdout).not.toMatch(/copied .*: \d\d+ MiB/);
    expect((await sandbox.run('stop', 'quickstart')).code).toBe(0);
  });

  it.runIf(hasTmux)('is told by the screen, which no bar garbles', async () => {
    forget();
    await using sandbox = new Sandbox();
    const env = { ...sandbox.env, TERM: 'xterm-256color' };
    using terminal = new TmuxTerminal(['serve', 'quickstart', ...flags(sandbox)], env, { columns: 100, rows: 30 });
    const seen = await terminal.shows(/dynamo is copied there: .*% of \d+(\.\d+)? MiB/, PATIENCE_MS);
    expect(seen).not.toMatch(/░/);
    expect(seen).toContain('0 of ');
    await terminal.shows(/ready; \? shows the keys/, PATIENCE_MS);
    terminal.press('C-c');
    expect(await terminal.exitStatus(PATIENCE_MS)).toBe(0);
  });
});
