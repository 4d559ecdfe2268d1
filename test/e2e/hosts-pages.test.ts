import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import type { CliResult } from '../helpers/run-cli.ts';
import { findUnlike, OF_SEVERAL_HOSTS, printedBy, ShownOutputs } from '../helpers/shown-outputs.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';
import { waitFor } from '../helpers/until.ts';

const read = (file: string) => readFileSync(path.join(packageRoot, file), 'utf8');
const page = read('docs/hosts.md');
const hostsPage = new ShownOutputs(page);
const operations = new ShownOutputs(read('docs/operations.md'));
/** `# fleet.yaml` of the page, as it stands there. */
const recipe = /^```yaml\n# fleet\.yaml\n([\s\S]*?)^```$/m.exec(page)![1]!;

/** What the pages show of several hosts, from two bare ones to a first token and through their troubles. */
describe.skipIf(!hasTestHosts || !hasEtcd || !hasTmux)('docs/hosts.md and docs/operations.md, on real hosts', () => {
  let net: TestHosts;
  let box: Sandbox;
  let one: TestHost;
  let two: TestHost;
  let three: TestHost;
  beforeAll(async () => {
    net = await TestHosts.start(3, { node: 'none' });
    [one, two, three] = net.hosts as [TestHost, TestHost, TestHost];
    for (const host of net.hosts) strangers(host, 'none');
    box = new Sandbox();
    box.file('fleet.yaml', recipe);
    writeHosts(one, two);
  });
  afterAll(async () => {
    await box?.[Symbol.asyncDispose]();
    await net?.[Symbol.asyncDispose]();
  });

  /** Two GPUs, and whether somebody computes on one of them. */
  const strangers = (host: TestHost, who: 'none' | 'some') => {
    host.run('cat > /run/bin/two-gpus; chmod 755 /run/bin/two-gpus', read('test/fixtures/bin/two-gpus/nvidia-smi'));
    host.run(
      'cat > /run/bin/nvidia-smi; chmod 755 /run/bin/nvidia-smi; : > /run/nobody',
      `#!/bin/sh\n${who === 'none' ? 'export FAKE_SMI_APPS=/run/nobody' : ''}\nexec /run/bin/two-gpus "$@"\n`,
    );
  };
  const writeHosts = (...hosts: TestHost[]) =>
    box.file('hosts.yaml', JSON.stringify({ hosts: hosts.map((host) => net.entry(host)) }));
  const folder = () => path.dirname(box.file('unused', ''));
  /** A command of the page; its files are those of the test. What it prints is in the words of the page. */
  const type = async (words: readonly string[]): Promise<CliResult> => {
    const files = words.map((word) => (/\.yaml$/.test(word) ? path.join(folder(), word) : word));
    const { code, stdout, stderr } = await box.run(...files);
    return { code, stdout: asAda(stdout), stderr: asAda(stderr) };
  };
  /** Another user started it, from another machine. */
  const asAda = (text: string) => text.replaceAll(`${os.userInfo().username}@${os.hostname()}`, 'ada@laptop');
  const ready = () =>
    waitFor('fleet to be ready', async () => {
      const view = await box.status('fleet');
      return view.state === 'ready' && view.agents.every(({ pid }) => pid !== null) && view;
    });
  const status = async () => printedBy(await box.run('status', 'fleet'));

  it('from two bare hosts to a first token', async () => {
    await hostsPage.expectTyped('From two bare hosts to a first token', 0, type);
    await hostsPage.expectTyped('From two bare hosts to a first token', 1, type);
    const { endpoint } = await ready();
    const { lines } = hostsPage.take('From two bare hosts to a first token', 2);
    const [more, ...shown] = lines;
    expect(more).toContain('"max_tokens":8');
    const printed = execFileSync(
      'curl',
      [
        '-si',
        `${endpoint}/v1/chat/completions`,
        '-H',
        'content-type: application/json',
        '-d',
        /'(.*)'$/.exec(more!)![1]!,
      ],
      { encoding: 'utf8' },
    );
    expect(findUnlike(shown, printed.split(/\r?\n/))).toBeUndefined();
  });

  it('another launcher', async () => {
    await using other = new Sandbox();
    const { code, stderr } = await other.run(
      ...['serve', other.file('fleet.yaml', recipe), '--hosts', path.join(folder(), 'hosts.yaml'), '--detach'],
    );
    expect(code).not.toBe(0);
    operations.expect('A host belongs to another launcher', 0, asAda(stderr).split('\n'));
  });

  it('one host more, and a worker on it', async () => {
    writeHosts(one, two, three);
    const known = await type('serve fleet.yaml --hosts hosts.yaml --rolling --detach'.split(' '));
    expect(known.code, known.stderr).toBe(0);
    await operations.expectTyped('More or fewer workers, on more or fewer hosts', 0, type);
    expect((await ready()).processes.find(({ name }) => name === 'decode-1')?.host).toBe('host-3');
  });

  it('another host key', async () => {
    const host = net.hosts.find(({ name }) => name === 'host-2')!;
    const before = readFileSync(net.knownHosts, 'utf8');
    await host.changeHostKey();
    host.killSshd();
    await host.startSshd();
    const tries = () => host.sshdLog().match(/Connection (from|closed|reset)/g)?.length ?? 0;
    await operations.comesToShow('A host does not let in any more', 0, async () =>
      printedBy(await box.run('events', 'fleet'))
        .filter((line) => line.includes('agent-lost'))
        .map((line) => line.replace(/^.*?(?=agent-lost)/, '')),
    );
    const tried = tries();
    await waitFor('further tries', () => tries() > tried + 3);
    writeFileSync(net.knownHosts, net.hosts.map((one) => one.knownHostsLines()).join(''));
    expect(readFileSync(net.knownHosts, 'utf8')).not.toBe(before);
    await ready();
    // However often it was tried.
    expect(box.events('fleet').filter(({ message }) => message.includes('has changed'))).toHaveLength(1);
  });

  it('a host lost, and a stop without it', async () => {
    await two.kill();
    await operations.comesToShow('A host is lost', 0, status);
    const { code, stderr } = await box.run('stop', 'fleet');
    expect(code).not.toBe(0);
    operations.expect('Stop with a host away', 0, stderr.split('\n'));
    await two.reboot();
    expect((await box.run('stop', 'fleet')).stdout).toBe('fleet is stopped; nothing is left\n');
  });

  it('the launcher without its folder', async () => {
    writeHosts(one, two);
    const { code, stderr } = await type('serve fleet.yaml --hosts hosts.yaml --detach'.split(' '));
    expect(code, stderr).toBe(0);
    rmSync(box.deploymentDir('fleet'), { recursive: true, maxRetries: 20, retryDelay: 50 });
    await operations.expectTyped('The launcher, or its state folder, is gone', 0, type);
  });

  it('strangers, and cleaning up', async () => {
    for (const host of [one, two]) strangers(host, 'some');
    await hostsPage.expectTyped('Checking hosts', 0, type);
    const { commands, lines } = hostsPage.take('Cleaning up');
    expect(commands).toEqual(['dynamo hosts clean --hosts hosts.yaml']);
    const args = ['hosts', 'clean', '--hosts', path.join(folder(), 'hosts.yaml')];
    using terminal = new TmuxTerminal(args, box.env, { columns: 120, rows: 40 });
    const asked = await terminal.shows(/\[y\/N\]/, 60_000);
    expect(findUnlike(lines, asked.split('\n'))).toBeUndefined();
    terminal.press('n', 'Enter');
    await terminal.exitStatus(60_000);
    const done = await type(['hosts', 'clean', '--hosts', 'hosts.yaml', '--yes']);
    expect(done.code, done.stderr).toBe(0);
    expect(hostsPage.left()).toEqual(['What it costs, 0']);
    expect(operations.left().filter((block) => OF_SEVERAL_HOSTS.includes(block))).toEqual([]);
  });
});
