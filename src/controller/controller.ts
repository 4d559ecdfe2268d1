import type net from 'node:net';
import { aborted, pause } from '../base/abort.ts';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { composeSnapshot } from '../deployment/compose-snapshot.ts';
import { writeControllerIdentity } from '../deployment/controller-identity.ts';
import { ownerOf } from '../deployment/owner.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { type DeploymentPaths, deploymentPaths, makePrivateDir } from '../deployment/state-dir.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { EventLog } from '../supervise/event-log.ts';
import type { FileLock } from '../supervise/locks.ts';
import type { EventRecord, SentSecrets, StartRequest } from '../supervise/protocol.ts';
import { listenSocket } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import { type OpenHost, openHosts } from './agent-host.ts';
import { AgentLinks } from './agent-links.ts';
import { Attendance } from './attendance.ts';
import { Changes } from './changes.ts';
import { ClientServer } from './client-server.ts';
import { takeControllerLock } from './controller-lock.ts';
import { DeploymentStore } from './deployment-store.ts';
import { isFreshStart, nextRecord, refuseOtherRecipe, takeBackEarlierStart } from './earlier-start.ts';
import { Hooks } from './hooks/hooks.ts';
import { knownHosts } from './host-entries.ts';
import { KitCopies } from './kit-copies.ts';
import { ProcessActions } from './process-actions.ts';
import { RecordKeeper } from './record-keeper.ts';
import { RemoteEvents } from './remote-events.ts';
import { RollingChange } from './rolling-change.ts';
import { chooseSecrets, secretsToSend } from './secrets-to-send.ts';
import { startGang } from './start-gang.ts';

/** A deployment tied to its client is stopped this long after the client has gone. */
const EPHEMERAL_GRACE_MS = 10_000;

export interface ControllerOptions {
  deployment: string;
  dir: string;
  /** What to start; undefined adopts what is there (or takes back an uncommitted start) so that it can be stopped. */
  request: StartRequest | undefined;
  log: Logger;
  /** Called once the admin socket listens. */
  onListening(): void;
  /** Ends the controller; the deployment then runs unattended. */
  signal: AbortSignal;
}

/**
 * Runs the controller of one deployment until the deployment is stopped, its start has failed, or the signal aborts.
 * Throws `DEPLOYMENT_BUSY` when another controller runs.
 *
 *                        ┌─ committed before ─▶ adopt ─┐
 *   lock ─▶ epoch + 1 ─▶ ┤                             ├─▶ attend ─▶ stop ─▶ stopped
 *                        └─ else undo ─▶ start gang ───┘
 *                                          └─ failed ─▶ undo ─▶ failed
 */
export async function runController(options: ControllerOptions): Promise<void> {
  const paths = deploymentPaths(options.dir);
  makePrivateDir(options.dir);
  const lock = await takeControllerLock(options.deployment, options.dir, paths.controllerLock);
  await new Controller(options, paths, lock).run();
}

class Controller {
  readonly #options: ControllerOptions;
  readonly #paths: DeploymentPaths;
  readonly #lock: FileLock;
  readonly #events: EventLog;
  readonly #clients: ClientServer;
  readonly #record: RecordKeeper;
  readonly #hooks: Hooks;
  readonly #store: DeploymentStore;
  readonly #copies: KitCopies;
  /** Secrets that clients have brought, in memory only. */
  readonly #brought: SentSecrets = {};
  readonly #ended = new AbortController();
  /** Aborts what is being started or attended when a stop is asked for. */
  readonly #stopAsked = new AbortController();
  #links!: AgentLinks;
  #changes!: Changes;
  #rolling!: RollingChange;
  #actions!: ProcessActions;
  /** Only while it attends: a start is all or nothing by other means. */
  #attendance: Attendance | undefined;
  #epoch = 0;
  #mayBeCommitted = false;
  #stopping: Promise<number[]> | undefined;

  constructor(options: ControllerOptions, paths: DeploymentPaths, lock: FileLock) {
    this.#options = options;
    this.#paths = paths;
    this.#lock = lock;
    this.#events = new EventLog(paths.events, 'controller', (event) => this.#tell(event));
    this.#record = new RecordKeeper(paths.record, this.#events, () => this.#clients.changed());
    this.#hooks = new Hooks({
      ...{ paths, events: this.#events, env: process.env },
      record: () => this.#record.current,
    });
    this.#copies = new KitCopies({
      onEvent: (type, message) => this.#events.write(type, message),
      onChange: () => this.#clients.changed(),
      now: () => performance.now(),
    });
    this.#store = new DeploymentStore({
      ...{ root: paths.discovery, events: this.#events, openHost: this.#openHosts() },
      hosts: () => this.#hosts(),
    });
    this.#clients = new ClientServer({
      recipeHash: () => this.#record.known?.recipeHash ?? '',
      snapshot: () => this.#snapshot(),
      stop: (force) => this.#stop(force),
      act: (action, name) => this.#actions.act(action, name),
      rolling: (targets) => this.#changes.alone('rolling restart', () => this.#actions.rolling(targets)),
      scale: (targets) => this.#changes.scale(targets),
      roll: (wanted, replace) => this.#rolling.begin(wanted, replace),
      secrets: (secrets) => this.#takeSecrets(secrets),
      onEphemeralGone: () => void this.#stopUnlessClientReturns(),
    });
  }

  async run(): Promise<void> {
    const end = () => this.#ended.abort();
    this.#options.signal.addEventListener('abort', end, { once: true });
    let server: net.Server | undefined;
    try {
      this.#epoch = Number(readJsonFile(this.#paths.epoch) ?? 0) + 1;
      this.#writeOwnFiles();
      const elsewhereEvents = new RemoteEvents(this.#events, this.#paths.events);
      this.#links = new AgentLinks({
        deployment: this.#options.deployment,
        openHost: this.#openHosts(),
        epoch: this.#epoch,
        owner: ownerOf(this.#options.dir),
        events: this.#events,
        signal: this.#ended.signal,
        onChange: () => {
          this.#clients.changed();
          this.#attendance?.look();
        },
        onEvent: (event, elsewhere) => (elsewhere ? elsewhereEvents.take(event) : this.#tell(event)),
        eventsFrom: (host) => elsewhereEvents.newestOf(host),
      });
      this.#record.load();
      const parts = { record: this.#record, links: this.#links, events: this.#events };
      const signal = AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]);
      const hosts = (request?: StartRequest) => this.#hosts(request);
      const onUnfinished = () => void this.#attendance?.finish();
      this.#actions = new ProcessActions({ ...parts, signal });
      this.#changes = new Changes({
        ...{ ...parts, epoch: this.#epoch, signal, hosts, onUnfinished },
        discovery: () => this.#store.open(this.#record.current, true),
      });
      this.#rolling = new RollingChange({ ...parts, changes: this.#changes, hosts, onBlocked: onUnfinished, signal });
      const { request } = this.#options;
      const fresh = await isFreshStart({
        ...{ record: this.#record, request, epoch: this.#epoch, events: this.#events },
        links: this.#links,
        openDiscovery: (record) => this.#store.open(record, true),
      });
      if (fresh) {
        await takeBackEarlierStart(this.#record, this.#links, this.#events);
        await this.#store[Symbol.asyncDispose]();
      } else refuseOtherRecipe(this.#record.current, request);
      if (fresh) this.#writeStartRecord();
      server = await listenSocket(socketPath(this.#options.dir, 'controller'), (socket) =>
        this.#clients.accept(socket),
      );
      this.#options.onListening();
      await this.#hooks.cleanUp();
      if (fresh) await this.#start();
      else await this.#adopt();
      await aborted(this.#ended.signal);
    } finally {
      this.#options.signal.removeEventListener('abort', end);
      server?.close();
      await this.#clients.close();
      this.#links?.close();
      await this.#store[Symbol.asyncDispose]();
      this.#lock.release();
      // Whoever comes next need not wait for them.
      await this.#hooks.settled();
    }
  }

  /** A client has secrets that this controller and its agents may lack: those that came after a double death. */
  async #takeSecrets(secrets: SentSecrets): Promise<void> {
    Object.assign(this.#brought, secrets);
    // Attaching is what carries them; one that is away gets them when it is back.
    await Promise.allSettled(this.#links.all.filter((link) => link.connected).map((link) => link.attach()));
  }

  #openHosts(): OpenHost {
    const { deployment, dir, request } = this.#options;
    const copies = {
      onCopy: this.#copies.progress.bind(this.#copies),
      onCopied: this.#copies.end.bind(this.#copies),
    };
    return openHosts(
      { deployment, dir, nodeArchive: request?.nodeArchive, ...copies },
      (host) => this.#hosts().find(({ name }) => name === host),
      (host, local) =>
        local
          ? chooseSecrets(this.#record.current, host, this.#brought)
          : {
              ...secretsToSend(this.#record.current, host),
              ...chooseSecrets(this.#record.current, host, this.#brought),
            },
    );
  }

  /** All that the deployment may use, and those that a new recipe for it names. */
  #hosts(request?: StartRequest): HostEntry[] {
    return knownHosts(this.#record.known, request, this.#options.request);
  }

  /** Whoever comes to stop something must be able to on a full disk: the epoch then lives in memory, here and in the agents. */
  #writeOwnFiles(): void {
    try {
      writeFileAtomic(this.#paths.epoch, JSON.stringify(this.#epoch));
      writeControllerIdentity(this.#options.dir);
    } catch (error) {
      const isStart = this.#options.request !== undefined;
      if (isStart || !(error instanceof DynamoError) || error.code !== 'DISK_FULL') throw error;
      this.#events.write('epoch', error.message);
    }
  }

  #writeStartRecord(): void {
    const { request, deployment } = this.#options;
    if (!request) {
      if (this.#record.known) return;
      throw new DynamoError('NO_DEPLOYMENT', `there is no deployment ${deployment}`);
    }
    crashPoint('record', 'before');
    this.#record.write(nextRecord(request, this.#record.known));
    crashPoint('record', 'after');
  }

  async #start(): Promise<void> {
    const { request } = this.#options;
    if (!request) {
      // Adopting to stop, and nothing is left to stop.
      this.#ended.abort();
      return;
    }
    const { plan, planHash, generation } = this.#record.current;
    try {
      const isOwnStore = plan.discovery.backend === 'etcd' && plan.discovery.managed !== undefined;
      const discovery = await this.#store.open(this.#record.current, isOwnStore);
      this.#links.make(plan.hosts);
      const startSteps = await startGang({
        plan,
        planHash,
        generation,
        epoch: this.#epoch,
        links: this.#links.all,
        discovery,
        discoveryRoot: this.#paths.discovery,
        onAttached: () => (isOwnStore ? Promise.resolve() : discovery.clear()),
        signal: AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]),
        onEvent: (type, message) => this.#events.write(type, message),
        onCommitting: () => {
          this.#mayBeCommitted = true;
        },
        onCommitted: (steps) => this.#record.note({ phase: 'committed', error: null, startSteps: steps }),
      });
      this.#events.write('ready', `generation ${generation} is committed`);
      this.#record.note({ startSteps });
      this.#attend();
      this.#hooks.ready();
    } catch (error) {
      if (this.#stopAsked.signal.aborted || this.#ended.signal.aborted) return; // the stop takes it from here
      await this.#fail(error);
    }
  }

  async #adopt(): Promise<void> {
    const { plan, generation, phase, change, rolling } = this.#record.current;
    if (phase !== 'stopping') this.#record.setPhase('committed');
    this.#events.write('adopt', `adopting generation ${generation} with epoch ${this.#epoch}`);
    this.#links.make([...new Set([...plan.hosts, ...(change?.plan.hosts ?? [])])]);
    this.#attend();
    // Its controller may have died between its commit and its hook.
    if (this.#options.request && phase !== 'stopping') this.#hooks.ready();
    if (change || rolling) void this.#attendance?.finish();
  }

  #attend(): void {
    const signal = AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]);
    this.#attendance = new Attendance({
      ...{ record: this.#record, links: this.#links, events: this.#events, hooks: this.#hooks, signal },
      ...{ changes: this.#changes, rolling: this.#rolling, actions: this.#actions },
    });
    this.#links.attend(this.#record.current.generation, signal, () => this.#ended.abort());
    if (this.#options.request?.ephemeral && !this.#clients.hasEphemeralClient) void this.#stopUnlessClientReturns();
    this.#clients.changed();
  }

  /** The start cannot succeed: everything is taken back, the reason is kept, the controller ends. */
  async #fail(error: unknown): Promise<void> {
    const failure =
      error instanceof DynamoError ? error : new DynamoError('START_LOST', messageOf(error), { cause: error });
    if (!(error instanceof DynamoError)) this.#options.log.error({ err: error }, 'the start failed unexpectedly');
    this.#events.write('failed', failure.message);
    const { all: isUndone, ours } = await this.#links.undo(failure.code === 'DEPLOYMENT_BUSY');
    // An agent that was not told may have to read that there is no commit record; what another launcher registered is not ours.
    if (isUndone && ours && this.#store.isOpen) await this.#store.empty(this.#record.current);
    // A host that could not be told may find the record and keep what it runs: whoever comes next has to look.
    this.#record.setPhase(!isUndone && this.#mayBeCommitted ? 'stopping' : 'failed', failure);
    this.#hooks.startFailed(failure.message);
    this.#clients.flush();
    this.#ended.abort();
  }

  #stop(force: boolean): Promise<number[]> {
    if (force && this.#stopping) {
      // The second, impatient request: stop waiting for hooks and drains that are under way.
      this.#hooks.hurry();
      return this.#links.stop(true);
    }
    this.#stopping ??= this.#stopOnce(force).catch((error: unknown) => {
      this.#stopping = undefined; // an agent could not be reached: the next request tries again
      throw error;
    });
    return this.#stopping;
  }

  async #stopOnce(force: boolean): Promise<number[]> {
    this.#events.write('stop', force ? 'stopping at once' : 'stopping: frontends drain first');
    this.#stopAsked.abort(new DynamoError('START_STOPPED', 'the start was stopped'));
    if (this.#record.known && this.#record.current.phase !== 'stopped') this.#record.setPhase('stopping');
    if (this.#record.known) await this.#hooks.stopping(force);
    const leftPids = await this.#links.stop(force).catch((error: unknown) => {
      if (this.#record.known) this.#record.note({ stoppedHosts: [...this.#links.stopped] });
      if (error instanceof DynamoError && error.code === 'STOP_INCOMPLETE') this.#leaveUnfinished(error);
      throw error;
    });
    if (leftPids.length === 0) {
      if (this.#record.known) await this.#store.empty(this.#record.known);
      // Whoever follows the events leaves when the record says that it is over: the last one has to be there by then.
      this.#events.write('stopped', 'nothing is left');
      if (this.#record.known) this.#record.setPhase('stopped');
    }
    this.#clients.flush();
    // After the answer to whoever asked.
    setTimeout(() => this.#ended.abort(), 20);
    return leftPids;
  }

  /** A host is away: the record says so, and whoever comes next finishes the stop. */
  #leaveUnfinished(error: DynamoError): void {
    if (this.#record.known) this.#record.setPhase('stopping', error);
    this.#events.write('stop', `${error.message}: ${error.details.join('; ')}`);
    this.#clients.flush();
    setTimeout(() => this.#ended.abort(), 20);
  }

  async #stopUnlessClientReturns(): Promise<void> {
    await pause(EPHEMERAL_GRACE_MS, this.#ended.signal);
    if (this.#ended.signal.aborted || this.#clients.hasEphemeralClient) return;
    this.#events.write('stop', 'the client this deployment was tied to has gone');
    await this.#stop(false);
  }

  #snapshot(): DeploymentSnapshot {
    return composeSnapshot({
      record: this.#record.current,
      epoch: this.#epoch,
      controllerPid: process.pid,
      agents: this.#links.statuses(),
      copies: this.#copies.current,
    });
  }

  #tell(event: EventRecord): void {
    this.#options.log.info(
      { process: event.process ?? undefined, type: event.type, source: event.source },
      event.message,
    );
    this.#clients.event(event);
  }
}
