import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { EtcdServer, folderForEtcd } from './etcd-server.ts';
import { freePort } from './free-port.ts';
import { waitFor } from './until.ts';

/** A real etcd of several members on 127.0.0.1, data in memory where there is such a folder. */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];
  readonly #dir: string;

  private constructor(members: readonly EtcdServer[], dir: string) {
    this.members = members;
    this.#dir = dir;
  }

  static async start(size = 3): Promise<EtcdCluster> {
    const dir = await mkdtemp(path.join(await folderForEtcd(size), 'dynamo-etcds-'));
    const peers: { name: string; url: string }[] = [];
    for (let index = 0; index < size; index += 1)
      peers.push({ name: `m${index}`, url: `http://127.0.0.1:${await freePort()}` });
    const members: EtcdServer[] = [];
    for (const { name } of peers)
      members.push(EtcdServer.member({ name, dir: path.join(dir, name), clientPort: await freePort(), peers }));
    const cluster = new EtcdCluster(members, dir);
    try {
      await Promise.all(members.map((member) => member.up()));
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  get urls(): string[] {
    return this.members.map(({ url }) => url);
  }

  /** The member that leads now. */
  leader(): Promise<EtcdServer> {
    return waitFor('a leader', async () => {
      for (const member of this.members) if (await isLeader(member.url)) return member;
      return undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
    await rm(this.#dir, { recursive: true, force: true });
  }
}

async function isLeader(url: string): Promise<boolean> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
  return /^etcd_server_is_leader 1$/m.test((await response?.text()) ?? '');
}
