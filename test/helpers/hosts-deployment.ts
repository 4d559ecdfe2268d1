import net from 'node:net';
import path from 'node:path';
import { spawnController } from '../../src/deployment/controller-client.ts';
import type { HostEntry } from '../../src/hosts/host-entry.ts';
import type { LaunchPlan, ProcessSpec } from '../../src/plan/launch-plan.ts';
import { EtcdServer } from './etcd-server.ts';
import { TestDeployment } from './test-deployment.ts';
import type { TestHost } from './test-host.ts';
import type { TestHosts } from './test-hosts.ts';
import { startRequest, trivialPlan } from './trivial-plan.ts';

/** A deployment over test hosts: its controller and an etcd here, its agents there. */
export class HostsDeployment extends TestDeployment {
  readonly net: TestHosts;
  readonly #etcd: EtcdServer;
  readonly #door: net.Server;
  readonly #endpoint: string;

  private constructor(wires: TestHosts, etcd: EtcdServer, door: net.Server, endpoint: string) {
    super('spread');
    this.net = wires;
    this.#etcd = etcd;
    this.#door = door;
    this.#endpoint = endpoint;
  }

  static async over(wires: TestHosts): Promise<HostsDeployment> {
    const etcd = await EtcdServer.start();
    const inside = Number(new URL(etcd.url).port);
    const door = net.createServer((socket) => {
      const other = net.connect(inside, '127.0.0.1');
      for (const end of [socket, other]) end.on('error', () => end.destroy());
      socket.pipe(other).pipe(socket);
    });
    const address = `${wires.wires.net}.1`;
    await new Promise<void>((resolve) => door.listen(0, address, resolve));
    return new HostsDeployment(wires, etcd, door, `http://${address}:${(door.address() as net.AddressInfo).port}`);
  }

  hostEntry(host: TestHost, more: Partial<HostEntry> = {}): HostEntry {
    return { ...this.net.entry(host), local: false, labels: {}, env: {}, ...more };
  }

  plan(processes: ProcessSpec[], overrides: Partial<LaunchPlan> = {}): LaunchPlan {
    return trivialPlan(this.name, processes, {
      hosts: [...new Set(processes.map(({ host }) => host))],
      discovery: { backend: 'etcd', endpoints: [this.#endpoint], ttlMs: 2_000 },
      startLeaseMs: 10_000,
      ...overrides,
    });
  }

  /** Spawns the controller; resolves once it listens. */
  async startOn(plan: LaunchPlan, hosts: HostEntry[], more: { nodeArchive?: string } = {}): Promise<{ pid: number }> {
    return spawnController(this.name, this.dir, { ...startRequest(this.dir, plan), hosts, ...more });
  }

  /** State folder of the deployment on a host. */
  dirOn(home: string): string {
    return path.posix.join(home, '.local/state/dynamo/deployments', this.name);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#door.close();
    await this.#etcd[Symbol.asyncDispose]();
  }
}
