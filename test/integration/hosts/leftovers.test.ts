import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDiscovery } from '../../../src/discovery/create-discovery.ts';
import { recordsLeft } from '../../../src/discovery/records-left.ts';
import { findLeftovers, type LeftoverWishes } from '../../../src/hosts/leftovers.ts';
import { LocalTransport } from '../../../src/hosts/local-transport.ts';
import { SshTransport } from '../../../src/hosts/ssh/ssh-transport.ts';
import { EtcdServer, hasEtcd } from '../../helpers/etcd-server.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

/** What `dynamo smoke` finds on a host after the stop. */
describe.skipIf(!hasTestHosts)('leftovers on a host', () => {
  let net: TestHosts;
  let host: TestHost;
  let transport: SshTransport;
  beforeAll(async () => {
    net = await TestHosts.start(1);
    [host] = net.hosts as [TestHost];
    transport = await SshTransport.connect(net.entry(host));
  });
  afterAll(async () => {
    await transport?.[Symbol.asyncDispose]();
    await net?.[Symbol.asyncDispose]();
  });

  const wishes: LeftoverWishes = {
    deployment: 'demo',
    dir: '~/.local/state/dynamo/deployments/demo',
    sockets: ['agents/host-1/agent.sock'],
    records: '~/.local/state/dynamo/deployments/demo/discovery/demo',
    lockDirs: ['/run/lock', '/tmp'],
  };
  const look = () => findLeftovers(transport, wishes);
  /** For scripts: waits for a condition; ends the processes of `/tmp/pids`, and waits until they are gone. */
  const FUNCTIONS = `until_true() { while ! eval "$1"; do sleep 0.02; done; }
    end_all() { for pid in $(cat /tmp/pids); do kill -KILL $pid; until_true "! kill -0 $pid 2>/dev/null"; done; rm /tmp/pids; }
    dir=$HOME/.local/state/dynamo/deployments/demo; `;
  /** Runs a shell script on the host until `end`; `$dir` is the deployment's folder. */
  const during = async (script: string, end: string, found: unknown) => {
    host.run(`${FUNCTIONS} mkdir -p $dir /run/lock/dynamo; ${script}`);
    try {
      expect(await look()).toEqual(found);
    } finally {
      host.run(`${FUNCTIONS} ${end}`);
    }
    expect(await look()).toEqual([]);
  };

  it('are none where there never was anything, and where only files lie', async () => {
    expect(await look()).toEqual([]);
    await during('mkdir -p $dir/agents/host-1; touch $dir/agents/host-1/agent.lock $dir/deployment.json', 'true', []);
  });

  it('are processes by the folder in their environment, not those of others', async () => {
    await during(
      'DYNAMO_DEPLOYMENT_DIR=$dir setsid sleep 321 >/dev/null 2>&1 & echo $! >/tmp/pids; ' +
        'DYNAMO_DEPLOYMENT_DIR=$dir-2 setsid sleep 322 >/dev/null 2>&1 & echo $! >>/tmp/pids; ' +
        `for pid in $(cat /tmp/pids); do until_true "grep -q '^sleep' /proc/$pid/cmdline"; done`,
      'end_all',
      [expect.stringMatching(/^process \d+: sleep 321 ?$/)],
    );
  });

  it('are sockets in the folder, and in /tmp where the path is too long', async () => {
    const listen = (path: string) =>
      `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' ${path}`;
    const short = '/tmp/dynamo-$(id -u)/$(printf %s "$dir/agents/host-1/agent.sock" | sha256sum | cut -c1-24).sock';
    await during(
      `mkdir -p $dir/agents/host-1 /tmp/dynamo-$(id -u); ${listen('$dir/agents/host-1/agent.sock')}; ${listen(short)}`,
      `rm $dir/agents/host-1/agent.sock ${short}`,
      [
        expect.stringMatching(/^socket \/.*\/agents\/host-1\/agent\.sock$/),
        expect.stringMatching(/^socket \/tmp\/dynamo-\d+\/[0-9a-f]{24}\.sock$/),
      ],
    );
  });

  it('are locks that somebody holds: of the folder, and of GPUs for this deployment', async () => {
    const hold = (file: string) =>
      `setsid sh -c 'exec 9<"$0"; flock 9; exec sleep 333' ${file} >/dev/null 2>&1 & echo $! >>/tmp/pids; until_true "! flock -n ${file} true";`;
    await during(
      'rm -f /tmp/pids; touch $dir/free.lock $dir/agent.lock; echo "demo (prefill-0)" > /run/lock/dynamo/gpu-0; echo "other (prefill-0)" > /run/lock/dynamo/gpu-1; ' +
        `${hold('$dir/agent.lock')} ${hold('/run/lock/dynamo/gpu-0')} ${hold('/run/lock/dynamo/gpu-1')}`,
      'end_all; rm -f /run/lock/dynamo/gpu-*',
      [expect.stringMatching(/^lock \/.*demo\/agent\.lock$/), 'lock /run/lock/dynamo/gpu-0: demo (prefill-0)'],
    );
  });

  it('are records in files', async () => {
    await during('mkdir -p $dir/discovery/demo; echo {} > $dir/discovery/demo/commit.1.json', 'rm -r $dir/discovery', [
      expect.stringMatching(/^record .*discovery\/demo\/commit\.1\.json$/),
    ]);
  });

  it('are found on this machine the same way', async () => {
    using tmp = tmpDir();
    const own = { ...wishes, dir: tmp.dir, records: undefined };
    expect(await findLeftovers(new LocalTransport(), own)).toEqual([]);
    execFileSync('mkfifo', [`${tmp.dir}/no-socket`]);
    expect(await findLeftovers(new LocalTransport(), own)).toEqual([]);
  });
});

describe.skipIf(!hasEtcd)('leftovers in etcd', () => {
  it('are records and the mark; looking leaves none', async () => {
    await using etcd = await EtcdServer.start();
    const spec = { backend: 'etcd' as const, endpoints: [etcd.url] };
    expect(await recordsLeft(spec, 'demo')).toEqual([]);
    const discovery = await createDiscovery(spec, { deployment: 'demo', ttlMs: 1_000 });
    await discovery.commit({ deployment: 'demo', generation: 1, planHash: 'p', epoch: 1 });
    expect(await recordsLeft(spec, 'demo')).toEqual([
      expect.stringMatching(/demo\/records\/commit\.1$/),
      expect.stringMatching(/demo\/store$/),
    ]);
    expect(await recordsLeft(spec, 'other')).toEqual([]);
    await discovery.clear({ forGood: true });
    expect(await recordsLeft(spec, 'demo')).toEqual([]);
    await discovery[Symbol.asyncDispose]();
  });
});
