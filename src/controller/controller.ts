import type net from 'node:net';
import { aborted, pause } from '../base/abort.ts';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { backoffDelay } from '../base/backoff.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { ageStatus, composeSnapshot } from '../deployment/compose-snapshot.ts';
import { writeControllerIdentity } from '../deployment/controller-identity.ts';
import { type DeploymentRecord, type NewDeploymentRecord, readRecord, writeRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { type DeploymentPaths, deploymentPaths, makePrivateDir } from '../deployment/state-dir.ts';
import { createDiscovery } from '../discovery/create-discovery.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { EventLog } from '../supervise/event-log.ts';
import { type FileLock, lockHolder, tryLock } from '../supervise/locks.ts';
import type { AgentStatus, EventRecord, StartRequest } from '../supervise/protocol.ts';
import { listenSocket } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';
import { crashPoint } from '../supervise/start-steps.ts';
import { AgentLink } from './agent-link.ts';
import { ClientServer } from './client-server.ts';
import { startGang } from './start-gang.ts';

/** A deployment tied to its client is stopped this long after the client has gone. */
const EPHEMERAL_GRACE_MS = 10_000;
const RECONNECT = { initialMs: 100, maxMs: 5_000, factor: 2 };

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
  readonly #statuses = new Map<string, { status: AgentStatus; heardAt: number }>();
  #links: AgentLink[] = [];
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
      writeFileAtomic(this.#paths.epoch, JSON.stringify(this.#epoch));
      writeControllerIdentity(this.#options.dir);
      this.#record = readRecord(this.#paths.record);
      const fresh = await this.#isFreshStart();
      if (fresh) await this.#takeBackEarlierStart();
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
      for (const link of this.#links) link.close();
      await this.#discovery?.[Symbol.asyncDispose]();
      this.#lock.release();
    }
  }

  /** Undefined record or one that never reached its commit: a new generation. Else the running one is adopted. */
  async #isFreshStart(): Promise<boolean> {
    const record = this.#record;
    if (!record) return true;
    if (record.phase === 'stopped' || record.phase === 'failed') return true;
    if (record.phase === 'stopping') return this.#options.request !== undefined;
    const discovery = await this.#openDiscovery(record.plan.discovery.ttlMs);
    return (await discovery.readCommit(record.generation))?.planHash !== record.planHash;
  }

  /** What an earlier controller left uncommitted, or half stopped, goes before anything new is made. */
  async #takeBackEarlierStart(): Promise<void> {
    const record = this.#record;
    if (!record || record.phase === 'stopped' || record.phase === 'failed') return;
    this.#events.write('undo', `generation ${record.generation} was never committed or half stopped: taking it back`);
    this.#makeLinks(record.plan.hosts);
    for (const link of this.#links) {
      await link.ensure(this.#ended.signal);
      await link.attach();
      const { leftPids } = await link.request('stop', { force: true });
      if (leftPids.length > 0) throw leftBehind(leftPids);
      await link.leave();
    }
    this.#statuses.clear();
    this.#record = writeRecord(this.#paths.record, { ...record, phase: 'stopped' });
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
      this.#makeLinks(plan.hosts);
      await startGang({
        plan,
        planHash,
        generation,
        epoch: this.#epoch,
        links: this.#links,
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
    const { plan, generation } = this.#current;
    this.#setPhase('committed');
    this.#events.write('adopt', `adopting generation ${generation} with epoch ${this.#epoch}`);
    this.#makeLinks(plan.hosts);
    this.#attend();
  }

  /** Keeps a line to every agent; whatever restarts within a host, its agent does alone. */
  #attend(): void {
    for (const link of this.#links) void this.#keepLinked(link);
    if (this.#options.request?.ephemeral && !this.#clients.hasEphemeralClient) void this.#stopUnlessClientReturns();
    this.#clients.changed();
  }

  async #keepLinked(link: AgentLink): Promise<void> {
    const signal = AbortSignal.any([this.#stopAsked.signal, this.#ended.signal]);
    for (let attempt = 0; !signal.aborted; ) {
      if (link.connected && link.status) {
        attempt = 0;
        await pause(100, signal);
        continue;
      }
      try {
        await link.ensure(signal);
        const status = await link.attach();
        if (status.phase === 'published') await link.request('settle', { generation: this.#current.generation });
      } catch (error) {
        if (signal.aborted) return;
        this.#events.write('agent-lost', `no line to the agent of ${link.host}: ${messageOf(error)}`);
        if (error instanceof DynamoError && error.code === 'SUPERSEDED') {
          this.#ended.abort();
          return;
        }
        await pause(backoffDelay(RECONNECT, attempt, Math.random()), signal);
        attempt += 1;
      }
    }
  }

  /** The start cannot succeed: everything is taken back, the reason is kept, the controller ends. */
  async #fail(error: unknown): Promise<void> {
    const failure =
      error instanceof DynamoError ? error : new DynamoError('START_LOST', messageOf(error), { cause: error });
    if (!(error instanceof DynamoError)) this.#options.log.error({ err: error }, 'the start failed unexpectedly');
    this.#events.write('failed', failure.message);
    for (const link of this.#links) {
      try {
        if (!link.connected) await link.ensure(this.#ended.signal).then(() => link.attach());
        await link.request('undo', {});
        await link.leave();
      } catch (cause) {
        this.#events.write(
          'undo',
          `the agent of ${link.host} could not be told to undo; it does so by itself: ${messageOf(cause)}`,
        );
      }
    }
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
    const link = this.#links.find((candidate) => candidate.host === spec.host);
    if (!link?.status) throw new DynamoError('HOST_UNREACHABLE', `no agent answers on ${spec.host}`);
    this.#events.write(action, `asked to ${action} it`, name);
    await link.request(action, { name });
  }

  #stop(force: boolean): Promise<number[]> {
    if (force && this.#stopping) {
      // The second, impatient request: stop waiting for drains that are under way.
      return this.#stopAgents(true);
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
    const leftPids = await this.#stopAgents(force);
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

  async #stopAgents(force: boolean): Promise<number[]> {
    const left = await Promise.all(
      this.#links.map(async (link) => {
        if (!link.connected) await link.ensure(this.#ended.signal);
        if (!link.status) await link.attach();
        const { leftPids } = await link.request('stop', { force });
        if (leftPids.length === 0) await link.leave();
        return leftPids;
      }),
    );
    return left.flat();
  }

  async #stopUnlessClientReturns(): Promise<void> {
    await pause(EPHEMERAL_GRACE_MS, this.#ended.signal);
    if (this.#ended.signal.aborted || this.#clients.hasEphemeralClient) return;
    this.#events.write('stop', 'the client this deployment was tied to has gone');
    await this.#stop(false);
  }

  #makeLinks(hosts: readonly string[]): void {
    for (const link of this.#links) link.close();
    this.#links = hosts.map(
      (host) =>
        new AgentLink({
          deployment: this.#options.deployment,
          dir: this.#options.dir,
          host,
          epoch: this.#epoch,
          onStatus: (status) => {
            this.#statuses.set(host, { status, heardAt: performance.now() });
            this.#clients.changed();
          },
          onEvent: (event) => this.#tell(event),
          onLost: () => {
            this.#statuses.delete(host);
            this.#clients.changed();
          },
        }),
    );
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
    const now = performance.now();
    const heard = [...this.#statuses].map(
      ([host, { status, heardAt }]) => [host, ageStatus(status, now - heardAt)] as const,
    );
    return composeSnapshot({
      record: this.#current,
      epoch: this.#epoch,
      controllerPid: process.pid,
      agents: new Map(heard),
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
