import net from 'node:net';
import tls from 'node:tls';
import { systemCode } from '../base/errors.ts';
import type { Target } from './target.ts';

/** What the request that holds a connection is told. `atMs` is taken at the socket read. */
export interface ConnectionUser {
  onRead(bytes: Buffer, atMs: number): void;
  /** The server closed, or the connection failed; nothing follows. */
  onClose(reason: ConnectionFailure, atMs: number): void;
}

export interface ConnectionFailure {
  /** `connect_failed`, `connection_reset`, `connection_closed`. */
  type: string;
  message: string;
}

/** Servers close idle connections after as little as 5 s (vLLM); one idle for longer than this is not used again. */
const MAX_IDLE_MS = 4_000;

/** One kept-alive connection. States: connecting → busy ⇄ idle → closed. Its pool owns it. */
export class Connection {
  readonly socket: net.Socket;
  user: ConnectionUser | null = null;
  idleSinceMs = 0;
  served = 0;
  #connected = false;
  #failure: ConnectionFailure | undefined;

  constructor(target: Target, buffer: Buffer, now: () => number, onGone: (connection: Connection) => void) {
    const read = (bytes: Buffer) => {
      const at = now();
      // Nobody asked for these bytes: the framing is lost.
      if (!this.user) this.socket.destroy();
      else this.user.onRead(bytes, at);
    };
    this.socket = open(target, buffer, read);
    this.socket.setNoDelay(true);
    this.socket.once(target.secure ? 'secureConnect' : 'connect', () => {
      this.#connected = true;
    });
    this.socket.on('error', (error) => {
      this.#failure = {
        type: this.#connected ? 'connection_reset' : 'connect_failed',
        message: systemCode(error) ?? error.message,
      };
    });
    this.socket.once('end', () => this.socket.destroy());
    this.socket.once('close', () => {
      onGone(this);
      const user = this.user;
      this.user = null;
      user?.onClose(this.#failure ?? { type: 'connection_closed', message: 'the server closed the connection' }, now());
    });
  }
}

function open(target: Target, buffer: Buffer, read: (bytes: Buffer) => void): net.Socket {
  const { host, port } = target;
  if (target.secure) {
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    return tls.connect({ host, port, ...servername }).on('data', read);
  }
  const callback = (length: number): boolean => {
    read(Buffer.from(buffer.subarray(0, length)));
    return true;
  };
  return net.connect({ host, port, onread: { buffer, callback } });
}

/** Kept-alive connections to one server: the most recently used idle one is used first. */
export class ConnectionPool {
  readonly #target: Target;
  readonly #now: () => number;
  readonly #all = new Set<Connection>();
  #idle: Connection[] = [];
  /** Shared by all connections: a read is copied out of it before the next one starts, so no read allocates 64 KiB. */
  readonly #buffer = Buffer.allocUnsafe(64 * 1024);

  constructor(target: Target, now: () => number) {
    this.#target = target;
    this.#now = now;
  }

  get size(): number {
    return this.#all.size;
  }

  acquire(user: ConnectionUser, options: { fresh: boolean }): Connection {
    const connection = (options.fresh ? undefined : this.#popIdle()) ?? this.#open();
    connection.user = user;
    return connection;
  }

  /** Takes a connection back after a complete response. */
  release(connection: Connection): void {
    connection.user = null;
    connection.served += 1;
    connection.idleSinceMs = this.#now();
    if (!connection.socket.destroyed && connection.socket.writable) this.#idle.push(connection);
  }

  destroy(): void {
    for (const connection of this.#all) connection.socket.destroy();
  }

  #popIdle(): Connection | undefined {
    const oldest = this.#now() - MAX_IDLE_MS;
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.idleSinceMs >= oldest && !connection.socket.destroyed) return connection;
      connection.socket.destroy();
    }
    return undefined;
  }

  #open(): Connection {
    const connection = new Connection(this.#target, this.#buffer, this.#now, (gone) => {
      this.#all.delete(gone);
      this.#idle = this.#idle.filter((idle) => idle !== gone);
    });
    this.#all.add(connection);
    return connection;
  }
}
