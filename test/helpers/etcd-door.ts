import { messageOf } from '../../src/base/errors.ts';
import { EtcdServer } from './etcd-server.ts';
import { SlowLink } from './slow-link.ts';
import type { TestHost } from './test-host.ts';
import type { TestHosts } from './test-hosts.ts';

/** A real etcd here, at an address that the test hosts reach. */
export class EtcdDoor implements AsyncDisposable {
  readonly etcd: EtcdServer;
  /** For controller and hosts alike. */
  readonly endpoint: string;
  readonly #link: SlowLink | undefined;

  private constructor(etcd: EtcdServer, address: string, link: SlowLink | undefined) {
    this.etcd = etcd;
    this.#link = link;
    const { protocol, port } = new URL(etcd.url);
    this.endpoint = `${protocol}//${address}:${link?.port ?? port}`;
  }

  /**
   * `oneWayMs`: how far it is away; `flags`: of etcd, for TLS. Without distance nothing is in between: what waits in this process would
   * make the store look dead.
   */
  static async open(hosts: TestHosts, oneWayMs = 0, flags: readonly string[] = []): Promise<EtcdDoor> {
    const address = `${hosts.wires.net}.1`;
    const etcd = await EtcdServer.start(flags, oneWayMs > 0 ? [] : [address]);
    const target = { host: '127.0.0.1', port: Number(new URL(etcd.url).port) };
    const door = new EtcdDoor(etcd, address, oneWayMs > 0 ? await SlowLink.open(target, oneWayMs, address) : undefined);
    try {
      door.#isReached(hosts.hosts[0]!);
    } catch (error) {
      await door[Symbol.asyncDispose]();
      throw error;
    }
    return door;
  }

  /** Throws what to look at where this machine takes nothing from the hosts. */
  #isReached(host: TestHost): void {
    const { hostname, port } = new URL(this.endpoint);
    const script = `perl -MSocket -e 'alarm 20; socket(S,PF_INET,SOCK_STREAM,0); connect(S,sockaddr_in(${port},inet_aton("${hostname}"))) or die "$!"'`;
    try {
      host.run(script);
    } catch (error) {
      throw new Error(
        `${host.name} does not reach ${hostname}:${port} of this machine: does a firewall here drop what comes in? ${messageOf(error)}`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link?.[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}
