import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/base/package-root.ts';
import { kill } from './kill.ts';
import { makeKey } from './test-hosts.ts';
import type { TestSwitch } from './test-switch.ts';
import { waitFor } from './until.ts';

export interface TestHostOptions {
  /** Lines put before all others in its sshd_config. */
  sshd?: readonly string[];
  /** Which Node its `PATH` has; this test's own unless said otherwise. */
  node?: 'current' | 'none' | 'old';
  /** Size of the file system its home lies on, `2m`. */
  homeSize?: string;
}

/** One host: it can be lost, rebooted, cut off and reconfigured. */
export class TestHost {
  readonly name: string;
  readonly address: string;
  readonly address6: string;
  readonly user: string = os.userInfo().username;
  readonly #dir: string;
  readonly #wires: TestSwitch;
  #options: TestHostOptions = {};
  #child: ChildProcess | undefined;
  #init = 0;
  #output = '';

  constructor(name: string, dir: string, wires: TestSwitch, number: number) {
    this.name = name;
    this.#dir = dir;
    this.#wires = wires;
    this.address = `${wires.net}.${number}`;
    this.address6 = `${wires.net6}${number}`;
  }

  prepare(publicKey: string, options: TestHostOptions): void {
    this.#options = options;
    mkdirSync(this.#dir, { recursive: true });
    makeKey(path.join(this.#dir, 'host_key'));
    writeFileSync(path.join(this.#dir, 'authorized_keys'), publicKey, { mode: 0o600 });
    writeFileSync(path.join(this.#dir, 'boot_id'), `${randomUUID()}\n`);
    this.#writeConfig();
  }

  /** Boots it, and waits until its sshd answers. */
  async up(): Promise<void> {
    const home = os.userInfo().homedir;
    const { node = 'current', homeSize = '-' } = this.#options;
    const script = path.join(packageRoot, 'test', 'fixtures', 'hosts', 'host-init.sh');
    const program = node === 'current' ? process.execPath : node;
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', 'unshare', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--net'],
        ...['--uts', '--ipc', '/bin/sh', script, this.#dir, this.name, packageRoot, home, homeSize, program],
      ],
      { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] }, detached: true },
    );
    this.#child = child;
    this.#output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk).slice(-4_000);
      });
    }
    child.stdin!.on('error', () => {});
    const ended = () =>
      new Error(`${this.name} did not come up (${child.exitCode ?? child.signalCode}): ${this.#output}`);
    this.#init = await waitFor(`the first process of ${this.name}`, () => {
      if (child.exitCode !== null || child.signalCode !== null) throw ended();
      return childOf(child.pid!);
    });
    const own = (name: string) => readlink(`/proc/self/ns/${name}`);
    await waitFor(`the network of ${this.name}`, () => readlink(`/proc/${this.#init}/ns/net`) !== own('net'));
    this.#wires.plug(this.name, this.#init);
    child.stdin!.end(`${this.address}/24 ${this.address6}/64\n`);
    await this.answers();
  }

  /** Waits for the SSH port, and for the pid of who listens there: it is written a moment later. */
  async answers(): Promise<void> {
    await waitFor(`sshd of ${this.name}`, async () => {
      if (this.#child?.exitCode !== null) throw new Error(`${this.name} ended: ${this.#output}`);
      return (await isListening(this.address)) && this.run('test -s /run/sshd/sshd.pid && echo yes || true') !== '';
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.#output}`);
    });
  }

  /** It is gone in an instant, with everything that ran on it. Its disk stays. */
  async kill(): Promise<void> {
    const child = this.#child;
    const init = this.#init;
    this.#child = undefined;
    this.#init = 0;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    kill(init === 0 ? child.pid! : init); // none yet: it dies with who makes it
    await exit;
  }

  /** Another boot id, nothing runs; the same disk, keys and addresses. */
  async reboot(): Promise<void> {
    await this.kill();
    writeFileSync(path.join(this.#dir, 'boot_id'), `${randomUUID()}\n`);
    await this.up();
  }

  /** Starts its sshd anew with other lines in its configuration. Running sessions live on, as they do on a real host. */
  async reconfigure(sshd: readonly string[]): Promise<void> {
    this.#options = { ...this.#options, sshd };
    this.#writeConfig();
    this.run(`cp ${this.#dir}/sshd_config /run/sshd/ 2>/dev/null || cat > /run/sshd/sshd_config`, this.#config());
    this.run('pid=$(cat /run/sshd/sshd.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done');
    await this.startSshd();
  }

  /** Ends its sshd and every session in an instant. Resolves when they are gone: the port is free. */
  killSshd(): void {
    this.run(
      'rm -f /run/sshd/sshd.pid; all=$(pidof sshd sshd-session sshd-auth || true); ' +
        'for pid in $all; do kill -KILL $pid 2>/dev/null || true; done; ' +
        'for pid in $all; do while kill -0 $pid 2>/dev/null; do sleep 0.02; done; done',
    );
  }

  /** Starts an sshd where none runs, and waits until it answers. */
  async startSshd(): Promise<void> {
    this.run('/usr/sbin/sshd -f /run/sshd/sshd_config -E /run/sshd/log');
    await this.answers();
  }

  /** It shall have another host key from now on, as after a new installation. */
  async changeHostKey(): Promise<void> {
    for (const name of ['host_key', 'host_key.pub']) rmSync(path.join(this.#dir, name));
    makeKey(path.join(this.#dir, 'host_key'));
    this.run('cat > /run/sshd/host_key', readFileSync(path.join(this.#dir, 'host_key'), 'utf8'));
    await this.reconfigure(this.#options.sshd ?? []);
  }

  /** Packets to and from it vanish, or flow again. */
  wire(state: 'cut' | 'whole'): void {
    this.#wires.wire(this.name, state);
  }

  /** Runs a shell script on it, not over SSH. Returns what it printed. */
  run(script: string, input = ''): string {
    return execFileSync('nsenter', ['-t', String(this.#init), '-a', '/bin/sh', '-c', script], {
      input,
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: `/run/bin:${process.env['PATH']}:/usr/sbin`, HOME: os.userInfo().homedir },
    });
  }

  /** The same, while this process goes on: for what is asked often by tests that run at once. */
  async ask(script: string): Promise<string> {
    const { stdout } = await promisify(execFile)('nsenter', ['-t', String(this.#init), '-a', '/bin/sh', '-c', script], {
      maxBuffer: 64 * 1024 * 1024,
      env: { PATH: `/run/bin:${process.env['PATH']}:/usr/sbin`, HOME: os.userInfo().homedir },
    });
    return stdout;
  }

  /** Command lines of all that runs on it beside its first process and sshd. */
  processes(): string[] {
    return this.run(`for dir in /proc/[0-9]*; do tr '\\0' ' ' < $dir/cmdline 2>/dev/null && echo; done; true`)
      .split('\n')
      .map((line) => line.trim())
      .filter(
        (line) =>
          line !== '' &&
          !/^(sshd|\/usr\/(sbin|lib\/openssh|libexec\/openssh)\/sshd|\/bin\/sh \S*host-init\.sh|sleep 1000|\/bin\/sh -c for dir|tr )/.test(
            line,
          ),
      );
  }

  knownHostsLines(): string {
    const key = readFileSync(path.join(this.#dir, 'host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
    return `${this.address} ${key}\n${this.address6} ${key}\n`;
  }

  /** What its sshd has said. */
  sshdLog(): string {
    return this.run('cat /run/sshd/log');
  }

  #writeConfig(): void {
    writeFileSync(path.join(this.#dir, 'sshd_config'), this.#config());
  }

  #config(): string {
    return [
      ...(this.#options.sshd ?? []),
      'Port 22',
      'HostKey /run/sshd/host_key',
      'AuthorizedKeysFile /run/sshd/authorized_keys',
      'PidFile /run/sshd/sshd.pid',
      'StrictModes no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      'MaxStartups 100',
      'PrintMotd no',
      'LogLevel VERBOSE',
      ...(this.#options.sshd?.some((line) => line.startsWith('Subsystem')) ? [] : ['Subsystem sftp internal-sftp']),
      'SetEnv PATH=/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      '',
    ].join('\n');
  }
}

function childOf(pid: number): number | undefined {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[1]) === pid) return Number(entry);
    } catch {
      // it has ended
    }
  }
  return undefined;
}

function readlink(file: string): string {
  return execFileSync('readlink', [file], { encoding: 'utf8' });
}

function isListening(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: 22, timeout: 1_000 });
    socket.once('connect', () => resolve(true));
    for (const event of ['error', 'timeout'] as const) socket.once(event, () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
    socket.once('timeout', () => socket.destroy());
  });
}
