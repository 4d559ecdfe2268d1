import { EtcdServer } from './etcd-server.ts';
import { SlowLink } from './slow-link.ts';
import type { TestHosts } from './test-hosts.ts';

/** A real etcd here, at an address that the test hosts reach. */
export class EtcdDoor implements AsyncDisposable {
  readonly etcd: EtcdServer;
  /** For controller and hosts alike. */
  readonly endpoint: string;
  readonly #link: SlowLink;

  private constructor(etcd: EtcdServer, link: SlowLink) {
    this.etcd = etcd;
    this.#link = link;
    this.endpoint = `${new URL(etcd.url).protocol}//${link.address}:${link.port}`;
  }

  /** `oneWayMs`: how far it is away; `flags`: of etcd, for TLS. */
  static async open(hosts: TestHosts, oneWayMs = 0, flags: readonly string[] = []): Promise<EtcdDoor> {
    const etcd = await EtcdServer.start(flags);
    const target = { host: '127.0.0.1', port: Number(new URL(etcd.url).port) };
    return new EtcdDoor(etcd, await SlowLink.open(target, oneWayMs, `${hosts.wires.net}.1`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}
