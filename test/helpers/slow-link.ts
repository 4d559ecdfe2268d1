import net from 'node:net';

/** What a relay has open; all of it is destroyed with the relay. */
export type OpenSockets = Set<net.Socket>;

/**
 * A TCP port of this machine that leads to another one as if that were far away: every byte takes `oneWayMs` each way, and a connection one
 * way there and back to be made. Kernels of test machines may lack netem.
 */
export class SlowLink implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #server: net.Server;
  readonly #open: OpenSockets;

  private constructor(server: net.Server, open: OpenSockets) {
    const { address, port } = server.address() as net.AddressInfo;
    this.address = address;
    this.port = port;
    this.#server = server;
    this.#open = open;
  }

  static async open(
    target: { host: string; port: number },
    oneWayMs: number,
    address = '127.0.0.1',
  ): Promise<SlowLink> {
    const open: OpenSockets = new Set();
    // Without `noDelay` a link in between adds 40 ms to every other answer.
    const server = net.createServer({ noDelay: true }, (near) => {
      const far = net.connect({ ...target, noDelay: true });
      for (const end of [near, far]) {
        open.add(end);
        end.on('error', () => end.destroy());
        end.once('close', () => {
          open.delete(end);
          setTimeout(() => {
            near.destroy();
            far.destroy();
          }, oneWayMs);
        });
      }
      carry(near, far, oneWayMs, 2 * oneWayMs);
      carry(far, near, oneWayMs, 0);
    });
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return new SlowLink(server, open);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }
}

/** One direction; its first byte also waits for the connection to be made. */
function carry(from: net.Socket, to: net.Socket, oneWayMs: number, connectMs: number): void {
  if (oneWayMs === 0) {
    from.pipe(to);
    return;
  }
  const began = performance.now();
  // Each timer carries what has waited longest: timers of different lengths, cut to whole milliseconds, may overtake each other.
  const waiting: (() => void)[] = [];
  const later = (action: () => void) => {
    waiting.push(action);
    setTimeout(() => waiting.shift()!(), oneWayMs + Math.max(0, connectMs - (performance.now() - began)));
  };
  from.on('data', (chunk: Buffer) => later(() => to.writable && to.write(chunk)));
  from.on('end', () => later(() => to.end()));
}
