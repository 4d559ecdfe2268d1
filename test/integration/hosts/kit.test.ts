import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type InstallOptions, installKit } from '../../../src/hosts/kit/install-kit.ts';
import { SshTransport } from '../../../src/hosts/ssh/ssh-transport.ts';
import type { TestHost, TestHostOptions } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';

/** dynamo comes to hosts that have nothing, something old, or no room. */
describe.skipIf(!hasTestHosts)('the kit on a host', () => {
  let net: TestHosts | undefined;
  let transport: SshTransport | undefined;
  afterEach(async () => {
    await transport?.[Symbol.asyncDispose]();
    await net?.[Symbol.asyncDispose]();
    net = undefined;
  });

  const boot = async (options: TestHostOptions = {}): Promise<TestHost> => {
    net = await TestHosts.start(1, options);
    const [host] = net.hosts as [TestHost];
    transport = await SshTransport.connect(net.entry(host));
    return host;
  };
  const install = async (options: InstallOptions = {}) => {
    const copied = new Set<string>();
    const kit = await installKit(transport!, { ...options, onProgress: (what) => copied.add(what) });
    const version = await transport!.exec([...kit.selfCommand, '--version']);
    expect(version.stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
    return { ...kit, copied: [...copied] };
  };

  it('is copied once, and used by all', async () => {
    const host = await boot();
    const first = await install();
    expect(first.copied).toEqual([expect.stringMatching(/^dynamo \d/)]);
    const again = await install();
    expect(again.copied).toEqual([]);
    expect(again.selfCommand).toEqual(first.selfCommand);
    expect(host.run('ls -A ~/.local/share/dynamo/kits').trim().split('\n')).toHaveLength(1);
  });

  it('two launchers at once end up with one', async () => {
    const host = await boot();
    await using other = await SshTransport.connect(net!.entry(host));
    const [one, two] = await Promise.all([install(), installKit(other)]);
    expect(one.selfCommand).toEqual(two.selfCommand);
    expect(host.run('ls -A ~/.local/share/dynamo/kits').trim().split('\n')).toHaveLength(1);
  });

  it('half of one is made whole', async () => {
    const host = await boot();
    const { selfCommand } = await install();
    const folder = path.dirname(selfCommand[0]);
    host.run(`truncate -s 1000 ${folder}/dist/cli.js; rm ${folder}/dist/shim.sh`);
    expect((await install()).copied).toHaveLength(1);
    expect(host.run(`cd ${folder} && sha256sum -c --quiet SHA256SUMS && echo whole`)).toBe('whole\n');
    host.run(`rm ${folder}/node`);
    expect((await install()).copied).toEqual([]);
  });

  it.each(['none', 'old'] as const)('brings Node where there is %s', async (node) => {
    const host = await boot({ node });
    const { copied, selfCommand } = await install();
    expect(copied).toEqual([expect.stringMatching(/^dynamo /), expect.stringMatching(/^node-linux-/)]);
    expect((await install()).copied).toEqual([]);
    expect(host.run(`readlink ${path.dirname(selfCommand[0])}/node`)).toMatch(/kits\/node-linux-\S+\/node\n$/);
  });

  it('brings Node from an archive', async () => {
    await boot({ node: 'none' });
    const archive = net!.file('node-v99.0.0-linux-x64.tar');
    const bin = net!.file('node-v99.0.0-linux-x64');
    mkdirSync(path.join(bin, 'bin'), { recursive: true });
    execFileSync('cp', [process.execPath, path.join(bin, 'bin', 'node')]);
    execFileSync('tar', ['-C', path.dirname(bin), '-cf', archive, path.basename(bin)], {});
    process.env['XDG_CACHE_HOME'] = net!.file('cache');
    try {
      expect((await install({ nodeArchive: archive })).copied[1]).toBe('node-v99.0.0-linux-x64');
    } finally {
      delete process.env['XDG_CACHE_HOME'];
    }
    await expect(install({ nodeArchive: '/no/archive.tar' })).resolves.toMatchObject({ copied: [] });
  });

  it('uses the Node that is named, and says when it is none', async () => {
    const host = await boot();
    host.run('ln -s /run/bin/node ~/my-node');
    const { selfCommand } = await install({ nodePath: '~/my-node' });
    expect(host.run(`readlink ${path.dirname(selfCommand[0])}/node`)).toContain('/my-node\n');
    await expect(install({ nodePath: '/bin/true' })).rejects.toMatchObject({
      code: 'COMMAND_NOT_FOUND',
      message: expect.stringContaining('host-1: /bin/true is not a Node'),
    });
  });

  it('a full home is named, nothing half is left, and another folder serves', async () => {
    const host = await boot({ homeSize: '1m' });
    const error = await install().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(/^host-1: no space left to write to \S+\/\.local\/share\/dynamo\/kits/),
      hint: expect.stringContaining('Free some space on host-1'),
    });
    expect(host.run('ls -A ~/.local/share/dynamo/kits')).toBe('');
    const { selfCommand } = await install({ kitDir: '/tmp/kits' });
    expect(selfCommand[0]).toMatch(/^\/tmp\/kits\//);
  });
});
