import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { connect } from 'node:tls';
import { freePort } from './free-port.ts';
import { waitFor } from './until.ts';

/** Whether etcd is installed here. Says so when it is not. */
export const hasEtcd = (() => {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('etcd tests are skipped: no etcd here (Debian package etcd-server)');
    return false;
  }
})();

/** One writes its log in files that it makes 64 MB long; another few are made in reserve and by its snapshots. */
const MEMBER_BYTES = 256 * 1024 ** 2;

/**
 * Where data of so many members may lie: in memory where there is room, because a test writes thousands of records, and etcd syncs each
 * one to the disk. A container may have 64 MB of it.
 */
export async function folderForEtcd(members: number): Promise<string> {
  const memory = await statfs('/dev/shm').catch(() => undefined);
  return memory && memory.bavail * memory.bsize >= members * MEMBER_BYTES ? '/dev/shm' : os.tmpdir();
}

/** A real etcd with one member, on free ports of 127.0.0.1 and data in a folder of its own, both kept over restarts. */
export class EtcdServer implements AsyncDisposable {
  readonly url: string;
  readonly #dataDir: string;
  readonly #argv: string[];
  #child: ChildProcess | undefined;
  #log = '';

  private constructor(
    name: string,
    dataDir: string,
    clientPort: number,
    peers: readonly { name: string; url: string }[],
    flags: readonly string[],
    addresses: readonly string[] = [],
  ) {
    this.#dataDir = dataDir;
    const scheme = flags.includes('--cert-file') ? 'https' : 'http';
    const peerUrl = peers.find((peer) => peer.name === name)!.url;
    this.url = `${scheme}://127.0.0.1:${clientPort}`;
    this.#argv = [
      ...['--name', name, '--data-dir', path.join(dataDir, 'member'), '--log-level', 'error'],
      ...[
        '--listen-client-urls',
        [this.url, ...addresses.map((each) => `${scheme}://${each}:${clientPort}`)].join(','),
      ],
      ...['--advertise-client-urls', this.url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', peers.map((peer) => `${peer.name}=${peer.url}`).join(','), ...flags],
    ];
  }

  /** `addresses`: others at which it is to be reached, at the same port. */
  static async start(flags: readonly string[] = [], addresses: readonly string[] = []): Promise<EtcdServer> {
    const dataDir = await mkdtemp(path.join(await folderForEtcd(1), 'dynamo-etcd-'));
    const peers = [{ name: 'solo', url: `http://127.0.0.1:${await freePort()}` }];
    const server = new EtcdServer('solo', dataDir, await freePort(), peers, flags, addresses);
    try {
      await server.up();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** One of several members; not started yet. */
  static member(options: {
    name: string;
    dir: string;
    clientPort: number;
    peers: readonly { name: string; url: string }[];
  }): EtcdServer {
    return new EtcdServer(options.name, options.dir, options.clientPort, options.peers, []);
  }

  /** Starts the server with the data it has, and waits until it serves. */
  async up(): Promise<void> {
    const child = spawn('etcd', this.#argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk).slice(-4_000);
    });
    const { port } = new URL(this.url);
    await waitFor('etcd to serve', async () => {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}: ${this.#log}`);
      // With TLS a health check would need a certificate; the port listens long before anyone is served there.
      return this.url.startsWith('https:') ? greetsWithTls(Number(port)) : isHealthy(this.url);
    });
  }

  /** SIGKILL: what was not on the disk is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  /** Kills the server, deletes its data, and starts it again. */
  async wipe(): Promise<void> {
    await this.kill();
    await rm(path.join(this.#dataDir, 'member'), { recursive: true, force: true });
    await this.up();
  }

  pause(): void {
    this.#child!.kill('SIGSTOP');
  }

  resume(): void {
    this.#child!.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

async function greetsWithTls(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  } finally {
    socket.on('error', () => {}); // refused without a certificate
    socket.destroy();
  }
}

async function isHealthy(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
  return response?.ok === true;
}
