import type net from 'node:net';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { type AgentPaths, agentPaths, deploymentPaths, makePrivateDir, processLog } from '../deployment/state-dir.ts';
import type { ChangeStep } from '../supervise/change-steps.ts';
import { EventLog, eventsSince, readEvents } from '../supervise/event-log.ts';
import { ownIdentity } from '../supervise/identity.ts';
import { tryLock } from '../supervise/locks.ts';
import {
  type AgentMethods,
  type AgentNotifications,
  type AgentStatus,
  PROTOCOL_VERSION,
} from '../supervise/protocol.ts';
import { listenSocket, type Methods, RpcPeer } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';
import { crashPoint, type StartStep } from '../supervise/start-steps.ts';
import { AgentJournal, journalledDiscovery } from './agent-journal.ts';
import { AgentStore } from './agent-store.ts';
import { handleChanges } from './change-handlers.ts';
import { ControllerSilence } from './controller-silence.ts';
import { CrashReporter } from './crash/crash-reporter.ts';
import { Gang } from './gang.ts';
import { HighestEpoch } from './highest-epoch.ts';
import { HostWatch } from './host-watch.ts';
import { DEFAULT_LOG, LogKeeper } from './log-keeper.ts';
import { rememberSecrets } from './sent-secrets.ts';
import { SharedMemoryWatch } from './shared-memory-watch.ts';
import { StartLease } from './start-lease.ts';
import { handleSharing } from './store-handlers.ts';
import { SuspicionWatch } from './suspicion-watch.ts';

type ControllerPeer = RpcPeer<AgentMethods, Methods, AgentNotifications>;

/** Events told at once at most. */
const EVENTS_TOLD = 2_000;
/** An idle host stays with the launcher that attached last for so long without hearing of it. */
const HELD_MS = 20_000;

export interface AgentOptions {
  deployment: string;
  /** Folder of the deployment. */
  dir: string;
  host: string;
  log: Logger;
  /** Called once its socket listens. */
  onListening(): void;
  /** Ends the agent; its processes live on. */
  signal: AbortSignal;
}

/**
 * Runs the agent of one host until it leaves: on request, when its part was undone, or when the signal aborts.
 * Throws `DEPLOYMENT_BUSY` when another agent of this deployment runs on this host.
 *
 *   lock ─▶ adopt what an earlier agent left ─▶ listen ─▶ serve the controller with the highest epoch ─▶ leave
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const paths = agentPaths(options.dir, options.host);
  for (const dir of [paths.dir, paths.runs, paths.logs]) makePrivateDir(dir);
  const lock = tryLock(paths.lock, { holder: `agent pid ${process.pid}` });
  if (!lock)
    throw new DynamoError('DEPLOYMENT_BUSY', `an agent of ${options.deployment} runs on ${options.host} already`);
  const agent = new Agent(options, paths);
  try {
    await agent.run();
  } finally {
    lock.release();
  }
}

class Agent {
  readonly #options: AgentOptions;
  readonly #paths: AgentPaths;
  readonly #journal: AgentJournal;
  readonly #events: EventLog;
  readonly #lease = new StartLease();
  readonly #ended = new AbortController();
  readonly #hostWatch = new HostWatch(() => this.#announce());
  readonly #peers = new Set<ControllerPeer>();
  #controller: ControllerPeer | undefined;
  readonly #epoch: HighestEpoch;
  #silence!: ControllerSilence;
  #gang!: Gang;
  #suspicions!: SuspicionWatch;
  readonly #store: AgentStore;

  constructor(options: AgentOptions, paths: AgentPaths) {
    this.#options = options;
    this.#paths = paths;
    this.#journal = new AgentJournal(paths.journal);
    this.#store = new AgentStore(options.deployment, deploymentPaths(options.dir).discovery);
    this.#events = new EventLog(deploymentPaths(options.dir).events, `agent ${options.host}`, (event) => {
      options.log.info({ process: event.process ?? undefined, type: event.type }, event.message);
      for (const peer of this.#peers) peer.notify('event', event);
    });
    this.#epoch = new HighestEpoch(paths.epoch, this.#events);
  }

  async run(): Promise<void> {
    const stop = () => this.#ended.abort();
    this.#options.signal.addEventListener('abort', stop, { once: true });
    const { signal } = this.#ended;
    if (this.#journal.state.phase !== 'idle') {
      await this.#store.adopt(journalledDiscovery(this.#journal.state));
      this.#watchStore();
    }
    const crashes = new CrashReporter(deploymentPaths(this.#options.dir).crashReports, this.#events);
    const sharedMemory = new SharedMemoryWatch(this.#events);
    this.#gang = new Gang({
      deployment: this.#options.deployment,
      deploymentDir: this.#options.dir,
      paths: this.#paths,
      journal: this.#journal,
      store: this.#store,
      events: this.#events,
      signal,
      random: Math.random,
      crashes,
      sharedMemory,
      changed: () => this.#announce(),
    });
    this.#silence = new ControllerSilence({
      gang: this.#gang,
      journal: this.#journal,
      store: this.#store,
      lease: this.#lease,
      events: this.#events,
      hasController: () => this.#controller?.open === true,
      changed: () => this.#announce(),
      leave: stop,
    });
    this.#suspicions = new SuspicionWatch({
      processes: () => this.#gang.snapshots(),
      events: this.#events,
      changed: () => this.#announce(),
      signal,
    });
    await this.#gang.adopt();
    const keeping = this.#keepLogs(signal);
    const watching = Promise.all([this.#hostWatch.run(signal), this.#suspicions.run(), sharedMemory.run(signal)]);
    const server = await listenSocket(socketPath(this.#paths.dir, 'agent'), (socket) => this.#accept(socket));
    this.#events.write('agent', `agent pid ${process.pid} up, ${this.#gang.phase}`);
    this.#options.onListening();
    if (this.#gang.phase === 'stopping') void this.#gang.stop(true);
    await this.#lease.watch(
      () => this.#silence.patienceMs,
      () => this.#silence.decide(),
      signal,
    );
    server.close();
    for (const peer of this.#peers) peer.close();
    await keeping;
    await watching;
    await crashes.settled();
    await this.#store[Symbol.asyncDispose]();
    this.#options.signal.removeEventListener('abort', stop);
  }

  #keepLogs(signal: AbortSignal): Promise<void> {
    const keeper = new LogKeeper({
      logs: () =>
        this.#journal.state.processes.map(({ spec }) => ({
          file: processLog(this.#paths, spec.name),
          ...(spec.log ?? DEFAULT_LOG),
        })),
      now: Date.now,
      onProblem: (file, message) => this.#events.write('log', `${file} is not kept as it should be: ${message}`),
    });
    return keeper.run(signal);
  }

  #accept(socket: net.Socket): void {
    const peer: ControllerPeer = new RpcPeer(socket);
    this.#peers.add(peer);
    void peer.closed.then(() => {
      this.#peers.delete(peer);
      // An idle host waits for the next one from now on.
      if (peer === this.#controller && this.#gang.idle) this.#lease.renew();
    });
    peer.handle('observe', ({ protocol }) => {
      checkProtocol(protocol);
      return this.#status();
    });
    peer.handle('events', ({ from }) => {
      const own = readEvents(deploymentPaths(this.#options.dir).events);
      const source = `agent ${this.#options.host}`;
      return eventsSince(
        own.filter((event) => event.source === source),
        from,
      ).slice(-EVENTS_TOLD);
    });
    peer.handle('attach', ({ protocol, deployment, epoch, owner, secrets }) =>
      this.#step('attach', () => {
        checkProtocol(protocol);
        this.#attach(peer, deployment, epoch, owner);
        rememberSecrets(secrets);
        return this.#status();
      }),
    );
    this.#handle(peer, 'renew', () => null);
    this.#handle(peer, 'reserve', (params) =>
      this.#step('reserve', async () => {
        if (this.#gang.idle) await this.#store.reserve(params.discovery);
        await this.#gang.reserve(params);
      }).then(() => null),
    );
    handleSharing({
      store: this.#store,
      host: this.#options.host,
      signal: this.#ended.signal,
      handle: (method, handler) => this.#handle(peer, method, handler),
    });
    this.#handle(peer, 'prepare', () => this.#step('prepare', () => this.#gang.prepare()).then(() => null));
    this.#handle(peer, 'launch', ({ names }) => this.#step('launch', () => this.#gang.launch(names)).then(() => null));
    this.#handle(peer, 'ready', ({ names }) => this.#step('ready', () => this.#gang.ready(names)).then(() => null));
    this.#handle(peer, 'prove', ({ pairs }) => this.#step('prove', () => this.#gang.prove(pairs)));
    this.#handle(peer, 'publish', () =>
      this.#step('publish', async () => {
        await this.#store.openOwn();
        await this.#gang.publish();
      }).then(() => null),
    );
    this.#handle(peer, 'settle', ({ generation }) =>
      this.#step('settle', () => this.#settle(generation)).then(() => null),
    );
    handleChanges({
      change: () => this.#gang.change,
      generation: () => this.#journal.state.generation,
      discovery: () => this.#store.discovery,
      step: (step, action) => this.#step(step, action),
      handle: (method, handler) => this.#handle(peer, method, handler),
    });
    this.#handle(peer, 'drain', ({ name }) => this.#gang.drain(name).then(() => null));
    this.#handle(peer, 'restart', ({ name }) => this.#gang.restart(name).then(() => null));
    this.#handle(peer, 'bringUp', ({ name }) => this.#gang.bringUp(name).then(() => null));
    this.#handle(peer, 'groupGo', ({ group }) => this.#gang.groups.go(group));
    this.#handle(peer, 'groupLost', ({ group, reason }) => this.#gang.groups.lost(group, reason));
    this.#handle(peer, 'undo', () => this.#gang.undo('the controller takes the start back').then(() => null));
    this.#handle(peer, 'stop', async ({ force }) => ({ leftPids: await this.#gang.stop(force) }));
    this.#handle(peer, 'leave', () => {
      if (!this.#gang.idle)
        throw new DynamoError('DEPLOYMENT_BUSY', `the agent of ${this.#options.host} still runs processes`);
      setImmediate(() => this.#ended.abort());
      return null;
    });
    peer.listen();
  }

  /** Handlers that only the current controller may call; every call counts as a sign of life. */
  #handle<K extends keyof AgentMethods & string>(
    peer: ControllerPeer,
    method: K,
    handler: (params: AgentMethods[K]['params']) => Promise<AgentMethods[K]['result']> | AgentMethods[K]['result'],
  ): void {
    peer.handle(method, (params) => {
      if (peer !== this.#controller)
        throw new DynamoError('SUPERSEDED', `${method} refused: a newer controller is attached to this agent`);
      this.#lease.renew();
      return handler(params);
    });
  }

  /** Two launchers, or one that was suspended, cannot fight: the highest epoch wins and is remembered on disk. */
  #attach(peer: ControllerPeer, deployment: string, epoch: number, owner: string | undefined): void {
    if (deployment !== this.#options.deployment)
      throw new DynamoError('NO_DEPLOYMENT', `this agent serves ${this.#options.deployment}, not ${deployment}`);
    this.#epoch.admit(epoch, owner, this.#protects(peer));
    this.#epoch.take(epoch, owner);
    if (this.#controller && this.#controller !== peer) this.#controller.close();
    this.#controller = peer;
    this.#lease.renew();
    this.#silence.over();
  }

  /** What another launcher must not take away; null for nothing. A start that has come as far as this host goes on. */
  #protects(peer: ControllerPeer): string | null {
    const { host, deployment } = this.#options;
    if (!this.#gang.idle) return `${host} runs a deployment ${deployment}`;
    const isHeld = this.#controller?.open === true && this.#controller !== peer && this.#lease.silentForMs() < HELD_MS;
    return isHeld ? `${host} is about to run a deployment ${deployment}` : null;
  }

  /** Serving needs no store, so its absence shows only where it is told. Once a handle: it may be called again. */
  #watchStore(): void {
    const follow = this.#store.watch((problem) => {
      const what = problem === null ? 'the store answers again' : `the store is away: ${problem}`;
      this.#events.write('store', what);
      this.#announce();
    });
    follow.catch((error: unknown) => this.#events.write('store', `it is watched no more: ${messageOf(error)}`));
  }

  async #settle(generation: number): Promise<void> {
    const record = await this.#store.discovery.readCommit(generation);
    if (record?.planHash !== this.#journal.state.planHash) {
      throw new DynamoError('START_LOST', `generation ${generation} has no commit record for this plan`);
    }
    this.#gang.settle();
  }

  async #step<T>(step: StartStep | ChangeStep, action: () => Promise<T> | T): Promise<T> {
    crashPoint(step, 'before', this.#options.host);
    const result = await action();
    crashPoint(step, 'after', this.#options.host);
    return result;
  }

  #status(): AgentStatus {
    const { phase, generation, planHash } = this.#journal.state;
    return {
      host: this.#options.host,
      identity: ownIdentity('agent'),
      phase,
      generation,
      planHash,
      inDoubt: this.#silence.inDoubt,
      storeProblem: this.#store.problem,
      processes: this.#gang.snapshots(),
      pairs: this.#gang.pairs(),
      gpus: this.#hostWatch.gpus,
      links: this.#hostWatch.links,
      suspicions: this.#suspicions.list(),
    };
  }

  #announceSoon: NodeJS.Immediate | undefined;

  /** Several changes of one turn are told once. */
  #announce(): void {
    this.#announceSoon ??= setImmediate(() => {
      this.#announceSoon = undefined;
      // Not before the commit: what a start does not need does not hold it up.
      if (this.#gang.phase === 'committed' || this.#silence.inDoubt) this.#watchStore();
      const status = this.#status();
      for (const peer of this.#peers) peer.notify('changed', status);
    });
  }
}

function checkProtocol(protocol: number): void {
  if (protocol === PROTOCOL_VERSION) return;
  throw new DynamoError(
    'STATE_VERSION',
    `the other side speaks protocol ${protocol}, this dynamo speaks ${PROTOCOL_VERSION}`,
  );
}
