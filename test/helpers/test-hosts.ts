import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TestHost, type TestHostOptions } from './test-host.ts';
import { TestSwitch } from './test-switch.ts';
import { tmpDir } from './tmp-dir.ts';

/** What a host and its switch are made of; the last line says what this kernel, or the container around, does not let us have. */
const ASK_THE_KERNEL = `
need() { what=$1; shift; "$@" || { echo "no $what" >&2; exit 1; }; }
need 'name of its own for a namespace' sh -c 'echo host > /proc/sys/kernel/hostname'
need 'tmpfs may be mounted' mount -t tmpfs tmpfs /tmp
need 'sysfs may be mounted' mount -t sysfs sysfs /sys
need 'bridge between networks (kernel module bridge)' ip link add br0 type bridge
need 'virtual network cards (kernel module veth)' ip link add one type veth peer name two
need 'IPv6 (net.ipv6.conf.all.disable_ipv6, ipv6.disable)' ip addr add fd5e::1/64 dev one nodad
`;

/** Whether hosts can be made here. Says so when not. */
export const hasTestHosts: boolean = (() => {
  const missing = ['unshare', 'nsenter', 'mount', 'setpriv', 'ssh-keygen', '/usr/sbin/sshd', 'ip'].filter(
    (tool) => !canFind(tool),
  );
  let why = missing.length > 0 ? `no ${missing.join(', ')} here (Debian: util-linux, openssh-server, iproute2)` : '';
  if (why === '') {
    try {
      const spaces = ['--pid', '--fork', '--mount', '--net', '--uts', '--ipc', '--mount-proc'];
      execFileSync('unshare', [...spaces, 'sh', '-c', ASK_THE_KERNEL], {
        stdio: 'pipe',
        env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
      });
    } catch (error) {
      const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
      const [last = '', ...before] = said.split('\n').toReversed();
      why = last.startsWith('no ')
        ? `${last} here: ${before.join('; ')}`
        : `namespaces are not permitted here: ${said}`;
    }
  }
  if (why !== '') console.warn(`tests on several hosts are skipped: ${why}`);
  return why === '';
})();

function canFind(tool: string): boolean {
  if (tool.startsWith('/')) return existsSync(tool);
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, tool)));
}

/**
 * A few hosts, each in namespaces of its own (processes, mounts, network, name) with its own `/tmp`, `/run`, home, boot id and a
 * real sshd on port 22, wired to one switch that this machine is plugged into. Nothing of it outlives the test.
 */
export class TestHosts implements AsyncDisposable {
  readonly hosts: readonly TestHost[];
  /** Private key that every host lets in as this user. */
  readonly key: string;
  /** Host keys of all of them. */
  readonly knownHosts: string;
  readonly wires: TestSwitch;
  readonly #tmp: ReturnType<typeof tmpDir>;

  private constructor(tmp: ReturnType<typeof tmpDir>, wires: TestSwitch, hosts: TestHost[], key: string) {
    this.#tmp = tmp;
    this.wires = wires;
    this.hosts = hosts;
    this.key = key;
    this.knownHosts = path.join(tmp.dir, 'known_hosts');
  }

  /** Hosts `host-1`, `host-2`, … that answer on their SSH port. */
  static async start(count: number, options: TestHostOptions = {}): Promise<TestHosts> {
    const tmp = tmpDir();
    const key = path.join(tmp.dir, 'id_ed25519');
    makeKey(key);
    const wires = await TestSwitch.start();
    const hosts = Array.from(
      { length: count },
      (_, index) => new TestHost(`host-${index + 1}`, path.join(tmp.dir, `host-${index + 1}`), wires, index + 2),
    );
    const all = new TestHosts(tmp, wires, hosts, key);
    try {
      for (const host of hosts) host.prepare(readFileSync(`${key}.pub`, 'utf8'), options);
      await Promise.all(hosts.map((host) => host.up()));
      writeFileSync(all.knownHosts, hosts.map((host) => host.knownHostsLines()).join(''));
    } catch (error) {
      await all[Symbol.asyncDispose]();
      throw error;
    }
    return all;
  }

  /** What a hosts file says of them. */
  entry(host: TestHost): {
    name: string;
    address: string;
    port: number;
    user: string;
    identityFile: string;
    knownHosts: string;
  } {
    const { name, address } = host;
    return { name, address, port: 22, user: host.user, identityFile: this.key, knownHosts: this.knownHosts };
  }

  /** A file of the test. */
  file(name: string, text?: string): string {
    const file = path.join(this.#tmp.dir, name);
    if (text !== undefined) writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.kill()));
    await this.wires[Symbol.asyncDispose]();
    this.#tmp[Symbol.dispose]();
  }
}

export function makeKey(file: string, passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'test', '-f', file], { stdio: 'pipe' });
}
