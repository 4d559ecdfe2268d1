import type net from 'node:net';
import { aborted, pause } from '../base/abort.ts';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { composeSnapshot } from '../deployment/compose-snapshot.ts';
import { writeControllerIdentity } from '../deployment/controller-identity.ts';
import { type DeploymentRecord, type NewDeploymentRecord, readRecord, writeRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { type DeploymentPaths, deploymentPaths, makePrivateDir } from '../deployment/state-dir.ts';
import { createDiscovery } from '../discovery/create-discovery.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { planDifference } from '../plan/plan-difference.ts';
import { EventLog } from '../supervise/event-log.ts';
import { type FileLock, lockHolder, tryLock } from '../supervise/locks.ts';
import type { EventRecord, StartRequest } from '../supervise/protocol.ts';
import { listenSocket } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import { localAgentHost } from './agent-host.ts';
import { AgentLinks } from './agent-links.ts';
import { ClientServer } from './client-server.ts';
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
  const lock = tryLock(paths.controllerLock, { holder: `controller pid ${process.pid}` });
  if (!lock)
    throw new DynamoError(
      'DEPLOYMENT_BUSY',
      `${options.deployment} has a controller already (${lockHolder(paths.controllerLock) ?? 'unknown'})`,
    );
  await new Controller(options, paths, lock).run();
}

class Controller {
  readonly #options: ControllerOptions;
  readonly #paths: DeploymentPaths;
  readonly #lock: FileLock;
  readonly #events: EventLog;
  readonly #clients: ClientServer;
  readonly #ended = new AbortController();
  /** Aborts what is being started or attended when a stop is asked for. */
  readonly #stopAsked = new AbortController();
  #links!: AgentLinks;
  #epoch = 0;
  #record: DeploymentRecord | undefined;
  #discovery: Discovery | undefined;
  #stopping: Promise<number[]> | undefined;

  constructor(options: ControllerOptions, paths: DeploymentPaths, lock: FileLock) {
    this.#options = options;
    this.#paths = paths;
    this.#lock = lock;
    this.#events = new EventLog(paths.events, 'controller', (event) => this.#tell(event));
    this.#clients = new ClientServer({
      recipeHash: () => this.#record?.recipeHash ?? '',
      snapshot: () => this.#snapshot(),
      stop: (force) => this.#stop(force),
      act: (action, name) => this.#act(action, name),
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
      this.#links = new AgentLinks({
        deployment: this.#options.deployment,
        openHost: async (host) => localAgentHost(host, this.#options.dir),
        epoch: this.#epoch,
        events: this.#events,
        signal: this.#ended.signal,
        onChange: () => this.#clients.changed(),
        onEvent: (event) => this.#tell(event),
      });
      this.#record = readRecord(this.#paths.record);
      const fresh = await this.#isFreshStart();
      if (fresh) await this.#takeBackEarlierStart();
      else this.#refuseOtherRecipe();
      this.#writeStartRecord(fresh);
      server = await listenSocket(socketPath(this.#options.dir, 'controller'), (socket) =>
        this.#clients.accept(socket),
      );
      this.#options.onListening();
      if (fresh) await this.#start();
      else await this.#adopt();
      await aborted(this.#ended.signal);
    } finally {
      this.#options.signal.removeEventListener('abort', end);
      server?.close();
      this.#clients.close();
      this.#links?.close();
      await this.#discovery?.[Symbol.asyncDispose]();
      this.#lock.release();
    }
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

  /** Undefined record or one that never reached its commit: a new generation. Else the running one is adopted. */
  async #isFreshStart(): Promise<boolean> {
    const record = this.#record;
    if (!record) return true;
    if (record.phase === 'stopped' || record.phase === 'failed') return true;
    if (record.phase === 'stopping') return this.#options.request !== undefined;
    const discovery = await this.#openDiscovery(record.plan.discovery.ttlMs);
    const { generation, planHash } = record;
    if (record.phase === 'starting') return (await discovery.readCommit(generation))?.planHash !== planHash;
    // It was committed. A store that lost its content, or cannot be read, is no reason to take down what serves.
    const standing = await discovery
      .commit({ deployment: record.name, generation, planHash, epoch: this.#epoch })
      .catch((error: unknown) => {
        this.#events.write('discovery', messageOf(error));
        return undefined;
      });
    return standing !== undefined && standing.planHash !== planHash;
  }

  /** What an earlier controller left uncommitted, or half stopped, goes before anything new is made. */
  async #takeBackEarlierStart(): Promise<void> {
    const record = this.#record;
    if (!record || record.phase === 'stopped' || record.phase === 'failed') return;
    this.#events.write('undo', `generation ${record.generation} was never committed or half stopped: taking it back`);
    this.#links.make(record.plan.hosts);
    const leftPids = await this.#links.stop(true);
    if (leftPids.length > 0) throw leftBehind(leftPids);
    this.#links.close();
    this.#record = writeRecord(this.#paths.record, { ...record, phase: 'stopped' });
  }

  /** It was committed a moment before its controller died, so whoever asked could not know what runs. */
  #refuseOtherRecipe(): void {
    const { request } = this.#options;
    if (!request || request.recipeHash === this.#current.recipeHash) return;
    throw new DynamoError('RECIPE_CHANGED', `${this.#options.deployment} runs with another recipe`, {
      details: planDifference(this.#current.plan, request.plan),
    });
  }

  #writeStartRecord(fresh: boolean): void {
    if (!fresh) return;
    const { request } = this.#options;
    if (!request) {
      if (this.#record) return;
      throw new DynamoError('NO_DEPLOYMENT', `there is no deployment ${this.#options.deployment}`);
    }
    crashPoint('record', 'before');
    const record: NewDeploymentRecord = {
      name: request.deployment,
      recipeFile: request.recipeFile,
      recipeHash: request.recipeHash,
      recipeText: request.recipeText,
      plan: request.plan,
      planHash: request.planHash,
      generation: (this.#record?.generation ?? 0) + 1,
      phase: 'starting',
      startedAt: new Date().toISOString(),
      error: null,
    };
    this.#record = writeRecord(this.#paths.record, record);
    crashPoint('record', 'after');
  }

  async #start(): Promise<void> {
    const { request } = this.#options;
    if (!request) {
      // Adopting to stop, and nothing is left to stop.
      this.#ended.abort();
      return;
    }
    const { plan, planHash, generation } = this.#current;
    try {
      this.#discovery = await this.#openDiscovery(plan.discovery.ttlMs);
      await this.#discovery.clear();
      this.#links.make(plan.hosts);
      await startGang({
        plan,
        planHash,
        generation,
        epoch: this.#epoch,
        links: this.#links.all,
        discovery: this.#discovery,
        signal: AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]),
        onEvent: (type, message) => this.#events.write(type, message),
        onCommitted: () => this.#setPhase('committed'),
      });
      this.#events.write('ready', `generation ${generation} is committed`);
      this.#attend();
    } catch (error) {
      if (this.#stopAsked.signal.aborted || this.#ended.signal.aborted) return; // the stop takes it from here
      await this.#fail(error);
    }
  }

  async #adopt(): Promise<void> {
    const { plan, generation, phase } = this.#current;
    if (phase !== 'stopping') this.#setPhase('committed');
    this.#events.write('adopt', `adopting generation ${generation} with epoch ${this.#epoch}`);
    this.#links.make(plan.hosts);
    this.#attend();
  }

  #attend(): void {
    const signal = AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]);
    this.#links.attend(this.#current.generation, signal, () => this.#ended.abort());
    if (this.#options.request?.ephemeral && !this.#clients.hasEphemeralClient) void this.#stopUnlessClientReturns();
    this.#clients.changed();
  }

  /** The start cannot succeed: everything is taken back, the reason is kept, the controller ends. */
  async #fail(error: unknown): Promise<void> {
    const failure =
      error instanceof DynamoError ? error : new DynamoError('START_LOST', messageOf(error), { cause: error });
    if (!(error instanceof DynamoError)) this.#options.log.error({ err: error }, 'the start failed unexpectedly');
    this.#events.write('failed', failure.message);
    await this.#links.undo();
    this.#setPhase('failed', failure);
    this.#clients.flush();
    this.#ended.abort();
  }

  async #act(action: 'drain' | 'restart', name: string): Promise<void> {
    const spec = this.#current.plan.processes.find((process) => process.name === name);
    if (!spec) {
      const names = this.#current.plan.processes.map((process) => process.name).join(', ');
      throw new DynamoError('USAGE', `there is no process ${name}`, { hint: `There are ${names}.` });
    }
    if (this.#current.phase !== 'committed')
      throw new DynamoError('DEPLOYMENT_BUSY', `${this.#current.name} is ${this.#current.phase}`);
    const link = this.#links.to(spec.host);
    this.#events.write(action, `asked to ${action} it`, name);
    await link.request(action, { name });
  }

  #stop(force: boolean): Promise<number[]> {
    if (force && this.#stopping) {
      // The second, impatient request: stop waiting for drains that are under way.
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
    if (this.#record && this.#record.phase !== 'stopped') this.#setPhase('stopping');
    const leftPids = await this.#links.stop(force);
    if (leftPids.length === 0) {
      await this.#discovery?.clear().catch((error: unknown) => this.#events.write('discovery', messageOf(error)));
      if (this.#record) this.#setPhase('stopped');
      this.#events.write('stopped', 'nothing is left');
    }
    this.#clients.flush();
    // After the answer to whoever asked.
    setTimeout(() => this.#ended.abort(), 20);
    return leftPids;
  }

  async #stopUnlessClientReturns(): Promise<void> {
    await pause(EPHEMERAL_GRACE_MS, this.#ended.signal);
    if (this.#ended.signal.aborted || this.#clients.hasEphemeralClient) return;
    this.#events.write('stop', 'the client this deployment was tied to has gone');
    await this.#stop(false);
  }

  async #openDiscovery(ttlMs: number): Promise<Discovery> {
    this.#discovery ??= await createDiscovery(
      { backend: 'file', root: this.#paths.discovery },
      { deployment: this.#options.deployment, ttlMs },
    );
    return this.#discovery;
  }

  get #current(): DeploymentRecord {
    if (!this.#record) throw new Error('no deployment record');
    return this.#record;
  }

  /** A full disk must not keep anything from being stopped: memory goes on, the file catches up. */
  #setPhase(phase: DeploymentRecord['phase'], error: DynamoError | null = null): void {
    const record = { ...this.#current, phase, error: error?.toJSON() ?? null };
    this.#record = record;
    try {
      writeRecord(this.#paths.record, record);
    } catch (cause) {
      this.#events.write('record', messageOf(cause));
    }
    this.#clients.changed();
  }

  #snapshot(): DeploymentSnapshot {
    return composeSnapshot({
      record: this.#current,
      epoch: this.#epoch,
      controllerPid: process.pid,
      agents: this.#links.statuses(),
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

function leftBehind(pids: readonly number[]): DynamoError {
  return new DynamoError('STOP_INCOMPLETE', `processes of an earlier start could not be ended: ${pids.join(', ')}`);
}
