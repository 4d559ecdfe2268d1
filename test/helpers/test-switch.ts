import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import os from 'node:os';
import { waitFor } from './until.ts';

const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };

/**
 * A bridge in a network namespace of its own, with one plug for this machine. The namespace goes with its only process, and all
 * its wires with it, also when the test is killed.
 */
export class TestSwitch implements AsyncDisposable {
  /** `10.211.7`: the first three numbers of every IPv4 address. */
  readonly net: string;
  readonly net6: string;
  readonly #holder: ChildProcess;
  readonly #plug: string;

  private constructor(holder: ChildProcess, id: number) {
    this.#holder = holder;
    this.net = `10.${200 + (id >> 8)}.${id & 255}`;
    this.net6 = `fd5e:${id.toString(16)}::`;
    this.#plug = `dyn${id}`;
  }

  static async start(): Promise<TestSwitch> {
    const holder = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--net', 'sleep', '86400'], { stdio: 'ignore' });
    const own = readlinkSync('/proc/self/ns/net');
    await waitFor('the namespace of the switch', () => {
      const there = readlinkSync(`/proc/${holder.pid}/ns/net`);
      return there !== own;
    });
    const wires = new TestSwitch(holder, freeId());
    try {
      wires.#ip('link', 'add', 'br0', 'type', 'bridge');
      wires.#ip('link', 'set', 'br0', 'up');
      wires.#ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', wires.#plug, 'netns', String(process.pid));
      wires.#ip('link', 'set', 'up0', 'master', 'br0', 'up');
      ip('addr', 'add', `${wires.net}.1/24`, 'dev', wires.#plug);
      ip('addr', 'add', `${wires.net6}1/64`, 'dev', wires.#plug, 'nodad');
      ip('link', 'set', wires.#plug, 'up');
    } catch (error) {
      await wires[Symbol.asyncDispose]();
      throw error;
    }
    return wires;
  }

  /** Plugs a process's network namespace in; its end is called `eth0`. */
  plug(name: string, pid: number): void {
    try {
      this.#ip('link', 'del', name); // of a host that has gone; the kernel takes its time
    } catch {
      // gone already
    }
    // The same hardware address after a reboot: nobody has to notice that a neighbour changed.
    const [a, b, c] = createHash('sha256').update(name).digest();
    const address = ['02', '00', '00', ...[a!, b!, c!].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
    this.#ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'address', address, 'netns', String(pid));
    this.#ip('link', 'set', name, 'master', 'br0', 'up');
  }

  /** Cuts or mends a wire: packets vanish, nobody is told. */
  wire(name: string, state: 'cut' | 'whole'): void {
    // Taken off the bridge, not set down: the other end must not see it.
    if (state === 'cut') this.#ip('link', 'set', name, 'nomaster');
    else this.#ip('link', 'set', name, 'master', 'br0');
  }

  /** What this machine sends to all hosts together goes no faster. Whether that can be done here. */
  slowDown(mbitPerSecond: number): boolean {
    const rate = ['rate', `${mbitPerSecond}mbit`, 'burst', '256kb', 'latency', '400ms'];
    const { status } = spawnSync('tc', ['qdisc', 'replace', 'dev', this.#plug, 'root', 'tbf', ...rate], { env });
    return status === 0;
  }

  #ip(...args: string[]): void {
    execFileSync('nsenter', ['-t', String(this.#holder.pid), '-n', 'ip', ...args], { stdio: 'pipe', env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) {
      const exit = once(this.#holder, 'exit');
      this.#holder.kill('SIGKILL');
      await exit;
    }
    await waitFor('the plug of the switch to be gone', () => os.networkInterfaces()[this.#plug] === undefined);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe', env });
}

/** A number that no other test's network uses now. */
function freeId(): number {
  const taken = new Set(Object.keys(os.networkInterfaces()));
  for (;;) {
    const id = 1 + Math.floor(Math.random() * 12_000);
    if (!taken.has(`dyn${id}`)) return id;
  }
}
