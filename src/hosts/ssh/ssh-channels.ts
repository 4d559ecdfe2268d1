import type { Client, ClientChannel } from 'ssh2';
import { sleep } from '../../base/abort.ts';
import { DynamoError } from '../../base/errors.ts';
import type { SshConnection } from './ssh-connect.ts';

/** How long a channel lives: one command, or as long as somebody speaks through it. */
export type ChannelUse = 'short' | 'long';

/** Refusals in a row, with nothing open that could end, before more is done than trying again: 630 ms. */
const PATIENCE = 6;

/**
 * The session channels of one host. All go over one connection while its server lets them. A server that refuses more (MaxSessions)
 * makes short ones queue behind short ones; where long ones hold all there are, another connection is opened.
 *
 *   refused ─▶ a short one is open: wait for its end, try again
 *           └▶ only long ones are: try the other connections, then open one more
 */
export class SshChannels implements Disposable {
  readonly #host: string;
  readonly #connect: () => Promise<SshConnection>;
  readonly #slots: Slot[];
  readonly #waiting = new Set<() => void>();
  #widening: Promise<void> | undefined;
  #over = false;

  constructor(host: string, first: SshConnection, connect: () => Promise<SshConnection>) {
    this.#host = host;
    this.#connect = connect;
    this.#slots = [{ connection: first, opening: 0, short: 0, long: 0 }];
  }

  /** Opens a channel by `open`, which is given a connection. Rejects with `HOST_UNREACHABLE` where the server allows none at all. */
  async open<T extends { once(event: 'close', listener: () => void): unknown }>(
    use: ChannelUse,
    open: (client: Client) => Promise<T>,
  ): Promise<T> {
    for (let refusals = 0; ; ) {
      for (const slot of this.#slots) {
        slot.opening += 1;
        try {
          const channel = await open(slot.connection.client);
          slot[use] += 1;
          slot.opening -= 1;
          if (!this.#mayFree()) this.#wake(); // a long one will not: who hoped for it must look elsewhere
          channel.once('close', () => {
            slot[use] -= 1;
            this.#wake();
          });
          return channel;
        } catch (error) {
          slot.opening -= 1;
          // While a short one is open, its end wakes those who wait; else this was the last they hoped for.
          if (!this.#mayFree()) this.#wake();
          if (this.#over || !isRefusal(error)) throw error;
        }
      }
      if (this.#mayFree()) {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
        refusals = 0;
      } else if (refusals < PATIENCE) {
        // A server counts a session for a moment longer than its channel lives.
        await sleep(10 * 2 ** refusals);
        refusals += 1;
      } else if (this.#slots.every((slot) => slot.long > 0)) await this.#widen();
      else throw this.#noSession();
    }
  }

  /** Whether a channel may become free by itself soon. */
  #mayFree(): boolean {
    return this.#slots.some((slot) => slot.short > 0 || slot.opening > 0);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #widen(): Promise<void> {
    this.#widening ??= this.#connect()
      .then((connection) => {
        const slot = { connection, opening: 0, short: 0, long: 0 };
        this.#slots.push(slot);
        connection.client.once('close', () => this.#slots.splice(this.#slots.indexOf(slot), 1));
        if (this.#over) connection.end();
      })
      .finally(() => {
        this.#widening = undefined;
      });
    await this.#widening;
  }

  #noSession(): DynamoError {
    return new DynamoError('HOST_UNREACHABLE', `${this.#host}: its SSH server lets us in but allows no session`, {
      hint: 'Look at MaxSessions, ForceCommand and the account’s shell in its sshd_config.',
    });
  }

  [Symbol.dispose](): void {
    this.#over = true;
    for (const { connection } of this.#slots) connection.end();
    this.#wake();
  }
}

interface Slot {
  connection: SshConnection;
  /** Channels that are being asked for. */
  opening: number;
  short: number;
  long: number;
}

/** The server said no to a channel, rather than being gone. `reason` is RFC 4254's number. */
export function isRefusal(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'reason' in error && typeof error.reason === 'number';
}

/** Opens the exec channel of one command line. */
export function openExec(client: Client, line: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(line, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}
