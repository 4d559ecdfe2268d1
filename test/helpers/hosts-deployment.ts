import path from 'node:path';
import { Etcd3 } from 'etcd3';
import { spawnController } from '../../src/deployment/controller-client.ts';
import type { HostEntry } from '../../src/hosts/host-entry.ts';
import type { LaunchPlan, ProcessSpec } from '../../src/plan/launch-plan.ts';
import { EtcdDoor } from './etcd-door.ts';
import { TestDeployment } from './test-deployment.ts';
import type { TestHost } from './test-host.ts';
import type { TestHosts } from './test-hosts.ts';
import { startRequest, trivialPlan } from './trivial-plan.ts';

/** A deployment over test hosts: its controller and an etcd here, its agents there. */
export class HostsDeployment extends TestDeployment {
  readonly net: TestHosts;
  readonly #store: EtcdDoor;
  readonly #isStoreShared: boolean;

  private constructor(wires: TestHosts, store: EtcdDoor, name: string, isStoreShared: boolean) {
    super(name);
    this.net = wires;
    this.#store = store;
    this.#isStoreShared = isStoreShared;
  }

  /** `oneWayMs`: how far away its etcd is. `store`: one that deployments of other names use as well; else it gets one of its own. */
  static async over(wires: TestHosts, name = 'spread', oneWayMs = 0, store?: EtcdDoor): Promise<HostsDeployment> {
    return new HostsDeployment(wires, store ?? (await EtcdDoor.open(wires, oneWayMs)), name, store !== undefined);
  }

  hostEntry(host: TestHost, more: Partial<HostEntry> = {}): HostEntry {
    return { ...this.net.entry(host), local: false, labels: {}, env: {}, ...more };
  }

  plan(processes: ProcessSpec[], overrides: Partial<LaunchPlan> = {}): LaunchPlan {
    return trivialPlan(this.name, processes, {
      hosts: [...new Set(processes.map(({ host }) => host))],
      discovery: { backend: 'etcd', endpoints: [this.#store.endpoint], ttlMs: 10_000 },
      startLeaseMs: 10_000,
      ...overrides,
    });
  }

  /** Spawns the controller; resolves once it listens. */
  async startOn(plan: LaunchPlan, hosts: HostEntry[], more: { nodeArchive?: string } = {}): Promise<{ pid: number }> {
    return spawnController(this.name, this.dir, { ...startRequest(this.dir, plan), hosts, ...more });
  }

  /** Keys of its records in the store, without their folder. */
  async keys(): Promise<string[]> {
    const client = new Etcd3({ hosts: this.#store.etcd.url });
    try {
      const keys = await client.getAll().keys();
      return keys.filter((key) => key.split('/').includes(this.name)).map((key) => key.split('/').at(-1)!);
    } finally {
      client.close();
    }
  }

  /** State folder of the deployment on a host. */
  dirOn(home: string): string {
    return path.posix.join(home, '.local/state/dynamo/deployments', this.name);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    if (!this.#isStoreShared) await this.#store[Symbol.asyncDispose]();
  }
}
