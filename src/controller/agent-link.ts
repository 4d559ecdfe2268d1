import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { agentPaths } from '../deployment/state-dir.ts';
import { AGENT_THERE, type AgentGreeting, startAgentArgv } from '../supervise/agent-greeting.ts';
import {
  type AgentMethods,
  type AgentNotifications,
  type AgentStatus,
  type EventRecord,
  PROTOCOL_VERSION,
} from '../supervise/protocol.ts';
import { type Methods, type Notifications, RpcPeer } from '../supervise/rpc.ts';
import type { AgentHost, OpenHost } from './agent-host.ts';
import type { MarkPart } from './step-clock.ts';

type AgentPeer = RpcPeer<Methods, AgentMethods, Notifications, AgentNotifications>;

const CONNECT_DEADLINE_MS = 15_000;
const ATTACH_TIMEOUT_MS = 10_000;

export interface AgentLinkOptions {
  deployment: string;
  host: string;
  openHost: OpenHost;
  epoch: number;
  /** See `ownerOf`. */
  owner: string;
  onStatus(status: AgentStatus): void;
  /** `elsewhere`: it was not written to the event log of this machine. */
  onEvent(event: EventRecord, elsewhere: boolean): void;
  /** From when on events of another host are wanted. */
  eventsFrom(): string | null;
  onLost(): void;
}

/**
 * The controller's line to the agent of one host. `ensure` connects, starting an agent where none answers;
 * a new agent re-adopts whatever an earlier one left.
 */
export class AgentLink {
  readonly host: string;
  readonly #options: AgentLinkOptions;
  #at: AgentHost | undefined;
  #opening: Promise<AgentHost> | undefined;
  #closed = false;
  #peer: AgentPeer | undefined;
  #status: AgentStatus | undefined;
  #isOurs = false;
  #spawned = 0;
  /** What an agent elsewhere tells until what was missed before is known: all of it is to be in order. */
  #held: EventRecord[] | undefined;

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

  /** It was attached to, or may have been: not so while another launcher has the host. */
  get isOurs(): boolean {
    return this.#isOurs;
  }

  /** Makes sure an agent runs and can be spoken to; does not attach. */
  async ensure(signal: AbortSignal, mark: MarkPart = () => {}): Promise<void> {
    if (this.connected) return;
    const at = await this.#reach(signal, mark);
    const connect = () =>
      at.transport.connectSocket(at.socket).catch((error: unknown) => {
        if (error instanceof DynamoError && error.code === 'CONNECT_FAILED') return undefined;
        throw error;
      });
    // Where nobody has been spoken to yet there is mostly no agent: one is started without looking for it first.
    const isStarted = this.#peer === undefined && (await this.#startAgent(at, signal, { unlessThere: true }));
    let socket = isStarted ? undefined : await connect();
    if (!socket) {
      if (!isStarted) await this.#startAgent(at, signal);
      // One that found another alive has greeted as well: that one answers, now or soon.
      socket = await until(connect, { deadlineMs: CONNECT_DEADLINE_MS, intervalMs: 10, signal });
    }
    if (!socket) throw await this.#notStarted(at, []);
    signal.throwIfAborted();
    this.#use(new RpcPeer(socket));
    mark('agent');
  }

  /** Becomes its controller. Throws `SUPERSEDED` when a newer one has been there. */
  async attach(): Promise<AgentStatus> {
    this.#isOurs = true;
    const { deployment, epoch, owner } = this.#options;
    const secrets = this.#at?.secrets() ?? {};
    const params = { protocol: PROTOCOL_VERSION, deployment, epoch, owner, secrets };
    this.#status = await this.request('attach', params, ATTACH_TIMEOUT_MS).catch((error: unknown) => {
      if (error instanceof DynamoError && error.code === 'DEPLOYMENT_BUSY') this.#isOurs = false;
      throw error;
    });
    this.#options.onStatus(this.#status);
    void this.#catchUp();
    return this.#status;
  }

  /** What the host's processes name may be more than when it was attached to. */
  async sendSecrets(): Promise<void> {
    if (Object.keys(this.#at?.secrets() ?? {}).length > 0) await this.attach();
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
    this.#closed = true;
    this.#letGo();
  }

  #use(peer: AgentPeer): void {
    this.#peer = peer;
    peer.on('changed', (status) => {
      this.#status = status;
      this.#options.onStatus(status);
    });
    this.#held = this.#isElsewhere ? [] : undefined;
    peer.on('event', (event) => {
      if (this.#held && this.#peer === peer) this.#held.push(event);
      else this.#options.onEvent(event, this.#isElsewhere);
    });
    peer.listen();
    void peer.closed.then(() => {
      if (this.#peer === peer) this.#options.onLost();
    });
  }

  get #isElsewhere(): boolean {
    return this.#at?.transport.local === false;
  }

  /** What an agent elsewhere wrote while nobody listened. */
  async #catchUp(): Promise<void> {
    if (!this.#isElsewhere) return;
    try {
      const missed = await this.request('events', { from: this.#options.eventsFrom() }, ATTACH_TIMEOUT_MS);
      for (const event of missed) this.#options.onEvent(event, true);
    } catch {
      // Lost again, or an agent of an earlier release: the next attach asks again.
    } finally {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const event of held) this.#options.onEvent(event, true);
    }
  }

  /** The host, opened anew after its link was lost. */
  async #reach(signal: AbortSignal, mark: MarkPart): Promise<AgentHost> {
    if (this.#at?.transport.lost.aborted) this.#letGo();
    if (this.#at) return this.#at;
    this.#opening ??= this.#options.openHost(this.host, signal, mark).finally(() => {
      this.#opening = undefined;
    });
    const at = await this.#opening;
    if (this.#closed) {
      await at.transport[Symbol.asyncDispose]();
      throw new DynamoError('CONNECT_FAILED', `the line to ${this.host} was closed`);
    }
    this.#at = at;
    return at;
  }

  #letGo(): void {
    void this.#at?.transport[Symbol.asyncDispose]();
    this.#at = undefined;
  }

  /** Returns once an agent listens: the one started here, or another that was quicker. False: none was started, there may be one. */
  async #startAgent(at: AgentHost, signal: AbortSignal, { unlessThere = false } = {}): Promise<boolean> {
    const { deployment } = this.#options;
    const agent = [...at.selfCommand, 'agent', '--deployment', deployment, '--dir', at.dir, '--host', this.host];
    // A crash point is for the first agent only: the one that replaces it must be able to go on.
    const crashAt = this.#spawned === 0 ? (process.env['DYNAMO_CRASH_AT'] ?? '') : '';
    this.#spawned += 1;
    const { log } = agentPaths(at.dir, this.host);
    const answer = await at.transport.exec(startAgentArgv(log, agent, unlessThere ? at.socket : ''), {
      env: {
        ...at.env,
        DYNAMO_DEPLOYMENT_DIR: at.dir,
        ...(crashAt || at.transport.local ? { DYNAMO_CRASH_AT: crashAt } : {}),
      },
      timeoutMs: CONNECT_DEADLINE_MS,
      signal,
    });
    if (answer.code === AGENT_THERE) {
      this.#spawned -= 1;
      return false;
    }
    if (answer.code !== 0) throw explainNotWritable(this.host, at.dir, answer.stderr);
    const line = answer.stdout.toString().trim();
    if (line === '') throw await this.#notStarted(at, []);
    const greeting = JSON.parse(line) as AgentGreeting;
    if (!greeting.listening && greeting.error.code !== 'DEPLOYMENT_BUSY') throw DynamoError.from(greeting.error);
    return true;
  }

  async #notStarted(at: AgentHost, details: readonly string[]): Promise<DynamoError> {
    const { log } = agentPaths(at.dir, this.host);
    const tail = await at.transport
      .exec(['tail', '-n', '5', log], { timeoutMs: ATTACH_TIMEOUT_MS })
      .then(({ stdout }) => stdout.toString().split('\n').filter(Boolean))
      .catch(() => []);
    return new DynamoError('HOST_UNREACHABLE', `the agent of ${this.host} did not start`, {
      hint: `Its log on ${this.host} is ${log}.`,
      details: [...details, ...tail],
    });
  }
}

/** The folder of the agent's log could not be made or written. */
function explainNotWritable(host: string, dir: string, stderr: string): DynamoError {
  const full = /no space left|quota exceeded/i.test(stderr);
  return new DynamoError(
    full ? 'DISK_FULL' : 'STATE_UNREADABLE',
    `${host}: cannot write to ${dir}${full ? ': no space left' : ''}`,
    {
      ...(full ? { hint: `Free some space on ${host}, or set stateDir of the host to a folder on another disk.` } : {}),
      details: stderr.split('\n').filter(Boolean).slice(-3),
    },
  );
}
