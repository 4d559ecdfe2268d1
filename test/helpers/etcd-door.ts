import net from 'node:net';
import { EtcdServer } from './etcd-server.ts';
import type { TestHosts } from './test-hosts.ts';

/** A real etcd here, at an address that the test hosts reach. */
export class EtcdDoor implements AsyncDisposable {
  readonly etcd: EtcdServer;
  /** For controller and hosts alike. */
  readonly endpoint: string;
  readonly #door: net.Server;
  readonly #open: Set<net.Socket>;

  private constructor(etcd: EtcdServer, door: net.Server, endpoint: string, open: Set<net.Socket>) {
    this.etcd = etcd;
    this.#door = door;
    this.endpoint = endpoint;
    this.#open = open;
  }

  static async open(hosts: TestHosts): Promise<EtcdDoor> {
    const etcd = await EtcdServer.start();
    const inside = Number(new URL(etcd.url).port);
    const open = new Set<net.Socket>();
    // Without `noDelay` a door adds 40 ms to every other answer.
    const door = net.createServer({ noDelay: true }, (socket) => {
      const other = net.connect({ port: inside, host: '127.0.0.1', noDelay: true });
      for (const end of [socket, other]) {
        open.add(end);
        end.on('error', () => end.destroy());
        end.once('close', () => {
          open.delete(end);
          socket.destroy();
          other.destroy();
        });
      }
      socket.pipe(other).pipe(socket);
    });
    const address = `${hosts.wires.net}.1`;
    await new Promise<void>((resolve) => door.listen(0, address, resolve));
    return new EtcdDoor(etcd, door, `http://${address}:${(door.address() as net.AddressInfo).port}`, open);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#door.close();
    for (const socket of this.#open) socket.destroy();
    await this.etcd[Symbol.asyncDispose]();
  }
}
