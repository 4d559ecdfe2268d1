import type net from 'node:net';
import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { packageVersion } from '../base/package-root.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import type { ScaleStep } from '../plan/scale-targets.ts';
import {
  type ControllerMethods,
  type ControllerNotifications,
  type EventRecord,
  PROTOCOL_VERSION,
  type SentSecrets,
  type StartRequest,
} from '../supervise/protocol.ts';
import { type Methods, RpcPeer } from '../supervise/rpc.ts';

/** A client that is suspended takes nothing. */
const CLOSE_MS = 1_000;

type ClientPeer = RpcPeer<ControllerMethods, Methods, ControllerNotifications>;

export interface ClientServerHooks {
  recipeHash(): string;
  snapshot(): DeploymentSnapshot;
  stop(force: boolean): Promise<number[]>;
  /** One process; throws `USAGE` when the plan has none of that name. */
  act(action: 'drain' | 'restart', name: string): Promise<void>;
  rolling(targets: readonly string[]): Promise<string[]>;
  scale(targets: readonly string[]): Promise<ScaleStep[]>;
  roll(request: StartRequest, replace: boolean): Promise<string[]>;
  secrets(secrets: SentSecrets): Promise<void>;
  /** The deployment is tied to its clients, and the last such client has gone. */
  onEphemeralGone(): void;
}

/** The admin socket's side of the controller: answers clients and tells them of every change. */
export class ClientServer {
  readonly #hooks: ClientServerHooks;
  readonly #peers = new Set<ClientPeer>();
  readonly #ephemeral = new Set<ClientPeer>();
  #changeTold: NodeJS.Timeout | undefined;

  constructor(hooks: ClientServerHooks) {
    this.#hooks = hooks;
  }

  accept(socket: net.Socket): void {
    const peer: ClientPeer = new RpcPeer(socket);
    this.#peers.add(peer);
    void peer.closed.then(() => {
      this.#peers.delete(peer);
      if (this.#ephemeral.delete(peer) && this.#ephemeral.size === 0) this.#hooks.onEphemeralGone();
    });
    peer.handle('hello', ({ protocol, ephemeral }) => {
      if (protocol !== PROTOCOL_VERSION) {
        throw new DynamoError(
          'STATE_VERSION',
          `the client speaks protocol ${protocol}, this controller speaks ${PROTOCOL_VERSION}`,
        );
      }
      if (ephemeral) this.#ephemeral.add(peer);
      return {
        pid: process.pid,
        version: packageVersion(),
        recipeHash: this.#hooks.recipeHash(),
        snapshot: this.#hooks.snapshot(),
      };
    });
    peer.handle('snapshot', () => this.#hooks.snapshot());
    peer.handle('drain', ({ name }) => this.#hooks.act('drain', name).then(() => null));
    peer.handle('restart', ({ name }) => this.#hooks.act('restart', name).then(() => null));
    peer.handle('rolling', async ({ targets }) => ({ restarted: await this.#hooks.rolling(targets) }));
    peer.handle('scale', async ({ targets }) => ({ steps: await this.#hooks.scale(targets) }));
    peer.handle('roll', async ({ request, replace }) => ({ steps: await this.#hooks.roll(request, replace) }));
    peer.handle('secrets', ({ secrets }) => this.#hooks.secrets(secrets).then(() => null));
    peer.handle('stop', async ({ force }) => ({ leftPids: await this.#hooks.stop(force) }));
    peer.listen();
  }

  get hasEphemeralClient(): boolean {
    return this.#ephemeral.size > 0;
  }

  event(event: EventRecord): void {
    for (const peer of this.#peers) peer.notify('event', event);
  }

  /** Tells the newest snapshot, at most every 50 ms. */
  changed(): void {
    this.#changeTold ??= setTimeout(() => this.flush(), 50);
  }

  flush(): void {
    clearTimeout(this.#changeTold);
    this.#changeTold = undefined;
    const snapshot = this.#hooks.snapshot();
    for (const peer of this.#peers) peer.notify('snapshot', snapshot);
  }

  /** Resolves when every client has its answers, or will not take them. */
  async close(): Promise<void> {
    clearTimeout(this.#changeTold);
    const peers = [...this.#peers];
    for (const peer of peers) peer.close();
    const waited = new AbortController();
    await Promise.race([Promise.all(peers.map(({ closed }) => closed)), pause(CLOSE_MS, waited.signal)]);
    waited.abort();
  }
}
