import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { until } from '../base/until.ts';
import { agentPaths, makePrivateDir } from '../deployment/state-dir.ts';
import { lastLines } from '../supervise/log-tail.ts';
import {
  type AgentMethods,
  type AgentNotifications,
  type AgentStatus,
  type EventRecord,
  PROTOCOL_VERSION,
} from '../supervise/protocol.ts';
import { connectSocket, type Methods, type Notifications, RpcPeer } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';

type AgentPeer = RpcPeer<Methods, AgentMethods, Notifications, AgentNotifications>;

const CONNECT_DEADLINE_MS = 15_000;
const ATTACH_TIMEOUT_MS = 10_000;

export interface AgentLinkOptions {
  deployment: string;
  dir: string;
  host: string;
  epoch: number;
  onStatus(status: AgentStatus): void;
  onEvent(event: EventRecord): void;
  onLost(): void;
}

/**
 * The controller's line to the agent of one host. `ensure` connects, starting an agent where none answers;
 * a new agent re-adopts whatever an earlier one left.
 */
export class AgentLink {
  readonly host: string;
  readonly #options: AgentLinkOptions;
  #peer: AgentPeer | undefined;
  #status: AgentStatus | undefined;
  #spawned = 0;

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    this.host = options.host;
  }

  get connected(): boolean {
    return this.#peer?.open ?? false;
  }

  get status(): AgentStatus | undefined {
    return this.connected ? this.#status : undefined;
  }

  /** Makes sure an agent runs and can be spoken to; does not attach. */
  async ensure(signal: AbortSignal): Promise<void> {
    if (this.connected) return;
    const file = socketPath(agentPaths(this.#options.dir, this.host).dir, 'agent');
    let socket = await connectSocket(file).catch(() => undefined);
    if (!socket) {
      const gone = this.#spawnAgent();
      // An agent that finds another one alive ends with "busy": then that one answers.
      socket = await until(() => connectSocket(file).catch(() => undefined), {
        deadlineMs: CONNECT_DEADLINE_MS,
        intervalMs: 10,
        signal: AbortSignal.any([signal, gone]),
      }).catch((error: unknown) => {
        if (signal.aborted) throw error;
        return undefined;
      });
    }
    if (!socket) {
      const details = lastLines(agentPaths(this.#options.dir, this.host).log, 5);
      throw new DynamoError('HOST_UNREACHABLE', `the agent of ${this.host} did not start`, { details });
    }
    this.#use(new RpcPeer(socket));
  }

  /** Becomes its controller. Throws `SUPERSEDED` when a newer one has been there. */
  async attach(): Promise<AgentStatus> {
    const { deployment, epoch } = this.#options;
    this.#status = await this.request('attach', { protocol: PROTOCOL_VERSION, deployment, epoch }, ATTACH_TIMEOUT_MS);
    this.#options.onStatus(this.#status);
    return this.#status;
  }

  request<K extends keyof AgentMethods & string>(
    method: K,
    params: AgentMethods[K]['params'],
    timeoutMs?: number,
  ): Promise<AgentMethods[K]['result']> {
    if (!this.#peer) return Promise.reject(new DynamoError('CONNECT_FAILED', `no agent on ${this.host}`));
    return this.#peer.request(method, params, timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** Keeps the start lease alive until the signal aborts. */
  async renewEvery(ms: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.request('renew', {}).catch(() => {}); // a lost agent shows elsewhere
      await pause(ms, signal);
    }
  }

  /** Asks the agent to end and waits for it; an agent that has gone already is fine. */
  async leave(): Promise<void> {
    const peer = this.#peer;
    if (!peer?.open) return;
    await this.request('leave', {}, ATTACH_TIMEOUT_MS).catch((error: unknown) => {
      if (!(error instanceof DynamoError && error.code === 'CONNECT_FAILED')) throw error;
    });
    await peer.closed;
  }

  close(): void {
    this.#peer?.close();
  }

  #use(peer: AgentPeer): void {
    this.#peer = peer;
    peer.on('changed', (status) => {
      this.#status = status;
      this.#options.onStatus(status);
    });
    peer.on('event', (event) => this.#options.onEvent(event));
    peer.listen();
    void peer.closed.then(() => {
      if (this.#peer === peer) this.#options.onLost();
    });
  }

  /** Returns a signal that aborts when the spawned agent ends early for another reason than finding one alive. */
  #spawnAgent(): AbortSignal {
    const { deployment, dir, host } = this.#options;
    const paths = agentPaths(dir, host);
    makePrivateDir(paths.logs);
    const log = openSync(paths.log, 'a', 0o600);
    const { DYNAMO_CRASH_AT, ...environment } = process.env;
    // A crash point is for the first agent only: the one that replaces it must be able to go on.
    const env = {
      ...environment,
      ...(this.#spawned === 0 && DYNAMO_CRASH_AT ? { DYNAMO_CRASH_AT } : {}),
      DYNAMO_DEPLOYMENT_DIR: dir,
    };
    this.#spawned += 1;
    const [node, cli] = selfCommand();
    const child = spawn(node, [cli, 'agent', '--deployment', deployment, '--dir', dir, '--host', host], {
      detached: true,
      stdio: ['ignore', log, log],
      env,
      cwd: '/',
    });
    closeSync(log);
    child.unref();
    const gone = new AbortController();
    child.once('error', (error) => gone.abort(new Error(messageOf(error))));
    child.once('exit', (code) => {
      if (code !== 0 && code !== BUSY_EXIT) gone.abort(new Error(`exit status ${code}`));
    });
    return gone.signal;
  }
}

/** Exit status of an agent that found another one alive (`DEPLOYMENT_BUSY`). */
const BUSY_EXIT = 4;
