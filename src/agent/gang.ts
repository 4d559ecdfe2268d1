import path from 'node:path';
import { sleep } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import { DynamoError, type ErrorCode, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { PairSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';
import { type AgentPaths, stateHome } from '../deployment/state-dir.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { runCheck } from '../supervise/probes.ts';
import type { GangPhase, ProvePair, ReserveParams } from '../supervise/protocol.ts';
import { killRun } from '../supervise/shim-process.ts';
import type { AgentJournal } from './agent-journal.ts';
import { checkInstalledFlags } from './check-flags.ts';
import { ExternalProcess } from './external-process.ts';
import { PairProver } from './pair-prover.ts';
import type { GangProcess } from './process-context.ts';
import { Publication } from './publication.ts';
import { Reservations, resolveEnvValue } from './reservations.ts';
import { SupervisedProcess } from './supervised-process.ts';

/** The store's fault, not the worker's. */
const STORE_TROUBLE: ReadonlySet<ErrorCode> = new Set(['DISCOVERY_UNREACHABLE', 'DISK_FULL']);
const STORE_BACKOFF = { initialMs: 200, maxMs: 5_000, factor: 2 };
const FRONTEND_SERVES_MS = 30_000;

/**
 * This host's part of a deployment: the processes of one generation and how far their start has come.
 *
 *   idle ─▶ reserved ─▶ prepared ─▶ starting ─▶ proved ─▶ published ─▶ committed
 *     ▲        └──────────┴────────────┴───────────┴──────────┤            │
 *     │                     undo                              │            │ stop
 *     └───────────────────────────────────────────────────────┴─ stopping ◀┘
 *
 * Every method may be called again after a crash of either side: what is done already is left alone.
 */
export class Gang {
  readonly #context: GangContext;
  readonly #processes = new Map<string, GangProcess>();
  readonly #reservations: Reservations;
  readonly #publication: Publication;
  readonly #prover: PairProver;
  /** Being stopped or undone: no step of a start may go on. */
  #ending = false;

  constructor(context: GangContext) {
    this.#context = context;
    this.#reservations = new Reservations(context.deployment, (gpu) =>
      [...this.#processes.values()].some((process) => process.running && process.spec.gpus.includes(gpu)),
    );
    this.#prover = new PairProver(context);
    this.#publication = new Publication(context.discovery, context.deployment, context.events, context.signal);
  }

  get phase(): GangPhase {
    return this.#context.journal.state.phase;
  }

  get idle(): boolean {
    return this.phase === 'idle';
  }

  /** Takes up what an earlier agent of this deployment left behind. */
  async adopt(): Promise<void> {
    for (const entry of this.#context.journal.state.processes) this.#add(entry.spec);
    this.#prover.restore(this.#context.journal.state.pairs ?? []);
    await Promise.all([...this.#processes.values()].map((process) => process.adopt()));
  }

  async reserve(params: ReserveParams): Promise<void> {
    const { journal } = this.#context;
    if (this.#ending) this.#mustStand();
    if (!this.idle && journal.state.generation !== params.generation) {
      throw new DynamoError(
        'DEPLOYMENT_BUSY',
        `the agent still holds generation ${journal.state.generation}, not ${params.generation}`,
      );
    }
    const running = new Set(
      [...this.#processes.values()].filter((process) => process.running).map((process) => process.spec.name),
    );
    if (this.idle) {
      journal.write({
        phase: 'reserved',
        generation: params.generation,
        planHash: params.planHash,
        startLeaseMs: params.startLeaseMs,
        discoveryTtlMs: params.discoveryTtlMs,
        processes: params.processes.map((spec) => ({
          spec,
          incarnation: 0,
          runId: '',
          wanted: false,
          restarts: 0,
          attempt: 0,
          logOffset: 0,
        })),
      });
      this.#processes.clear();
      for (const spec of params.processes) this.#add(spec);
    }
    await this.#reservations.reserve(params.processes, running);
    await checkInstalledFlags(
      params.processes.filter((spec) => !running.has(spec.name)),
      {
        cacheDir: path.join(stateHome(), 'engines'),
        environment: (spec) => this.#environment(spec),
        note: (message) => this.#context.events.write('flags', message),
        signal: this.#context.signal,
      },
    );
    this.#context.changed();
  }

  async prepare(): Promise<void> {
    this.#mustStand();
    const all = [...this.#processes.values()];
    const fresh = all.flatMap((process) => {
      const next = process.nextIncarnation();
      return next ? [[process.spec.name, next] as const] : [];
    });
    this.#context.journal.writeProcesses(new Map(fresh), this.phase === 'reserved' ? { phase: 'prepared' } : {});
    await Promise.all(all.map((process) => process.spawn()));
  }

  launch(names: readonly string[]): void {
    this.#mustStand();
    const processes = names.map((name) => this.#process(name));
    this.#context.journal.writeProcesses(
      new Map(names.map((name) => [name, { wanted: true }])),
      this.phase === 'prepared' ? { phase: 'starting' } : {},
    );
    for (const process of processes) process.launch();
  }

  async ready(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#process(name).whenReady()));
  }

  async prove(pairs: readonly ProvePair[]): Promise<PairSnapshot[]> {
    const proven = await this.#prover.proveAll(pairs);
    if (this.phase === 'starting') this.#context.journal.write({ phase: 'proved', pairs: this.#prover.snapshots() });
    return proven;
  }

  /**
   * Puts every process into discovery, then waits until the frontends serve all models.
   * Rejects when one is not ready any more: nothing is committed that is not whole.
   */
  async publish(): Promise<void> {
    this.#mustStand();
    const ready = [...this.#processes.values()];
    const allReady = () => Promise.all(ready.map((process) => process.whenReady()));
    await allReady();
    await Promise.all(
      ready.map((process) => this.#publication.publish(process.spec, process.generation, this.#context.signal)),
    );
    const frontends = ready.filter((process) => process.spec.role === 'frontend');
    await Promise.all(frontends.map((process) => this.#frontendServes(process.spec)));
    await allReady();
    if (this.phase === 'proved') this.#context.journal.write({ phase: 'published' });
  }

  /** The start is committed: restart policies apply from here on. */
  settle(): void {
    this.#mustStand();
    if (this.phase !== 'committed') {
      this.#context.journal.write({ phase: 'committed' });
      for (const process of this.#processes.values()) process.settled();
    }
    this.#context.changed();
  }

  /**
   * Takes one process out of service without losing a request: withdrawn, frontends have let go of it, nothing in flight, then
   * SIGTERM. It stays down until `restart`.
   */
  async drain(name: string): Promise<void> {
    const process = this.#process(name);
    const { drain, role } = process.spec;
    this.#context.journal.writeProcesses(new Map([[name, { wanted: false }]]));
    if (role === 'frontend') {
      await this.#publication.withdraw(name);
      await process.stop(drain.inFlightMs + drain.killAfterMs); // it finishes its streams on SIGTERM
      return;
    }
    process.markDraining('its requests in flight');
    await this.#publication.drain(process.spec, drain.inFlightMs);
    await process.stop(drain.killAfterMs);
  }

  /** Drains one process and starts it anew. Resolves when it is ready again. */
  async restart(name: string): Promise<void> {
    await this.drain(name);
    await this.#process(name).startAgain();
    await this.#process(name).whenReady();
  }

  /** Takes back an uncommitted start, at once. Needs no disk. */
  async undo(reason: string): Promise<number[]> {
    this.#context.events.write('undo', reason);
    return this.#end({ force: true });
  }

  /** Ends everything: frontends drain first, then the workers go. */
  async stop(force: boolean): Promise<number[]> {
    try {
      if (!this.idle) this.#context.journal.write({ phase: 'stopping' });
    } catch (error) {
      this.#context.events.write('journal', messageOf(error));
    }
    return this.#end({ force });
  }

  snapshots(): ProcessSnapshot[] {
    return [...this.#processes.values()].map((process) => process.snapshot());
  }

  pairs(): PairSnapshot[] {
    return this.#prover.snapshots();
  }

  async #end(options: { force: boolean }): Promise<number[]> {
    this.#ending = true;
    const all = [...this.#processes.values()];
    const frontends = all.filter((process) => process.spec.role === 'frontend');
    const others = all.filter((process) => process.spec.role !== 'frontend');
    // A frontend finishes its streams on SIGTERM; the workers must outlive that.
    await Promise.all(frontends.map((process) => this.#publication.withdraw(process.spec.name)));
    await Promise.all(
      frontends.map((process) =>
        process.stop(options.force ? 0 : process.spec.drain.inFlightMs + process.spec.drain.killAfterMs),
      ),
    );
    await Promise.all(others.map((process) => this.#publication.withdraw(process.spec.name)));
    await Promise.all(others.map((process) => process.stop(options.force ? 0 : process.spec.drain.killAfterMs)));
    await this.#publication.withdrawAll();
    const runIds = this.#context.journal.state.processes.map((entry) => entry.runId).filter((runId) => runId !== '');
    const left = (await Promise.all(runIds.map((runId) => killRun({ runId }, 5_000)))).flat();
    this.#reservations.release();
    this.#processes.clear();
    this.#prover.forget();
    if (left.length === 0) this.#context.journal.forget();
    this.#ending = false;
    this.#context.changed();
    return left;
  }

  #add(spec: ProcessSpec): void {
    const context = this.#context;
    const Process = spec.external ? ExternalProcess : SupervisedProcess;
    this.#processes.set(
      spec.name,
      new Process(spec, {
        paths: context.paths,
        journal: context.journal,
        events: context.events,
        signal: context.signal,
        random: context.random,
        mayRestart: () => this.phase === 'committed',
        lockFds: (own) => this.#reservations.lockFds(own),
        environment: (own) => this.#environment(own),
        onReady: (process, signal) => this.#onReady(process, signal),
        onGone: (process) => {
          void this.#publication.withdraw(process.spec.name);
          this.#reservations.keep(process.spec);
        },
        changed: context.changed,
      }),
    );
  }

  /** After the commit a worker is published again once its pairs have moved blocks; one that was published before merely returns. */
  async #onReady(process: GangProcess, signal: AbortSignal): Promise<void> {
    if (this.phase !== 'committed') return;
    const { spec, generation } = process;
    if (
      !(await this.#whenStoreAnswers(spec.name, signal, () => this.#publication.wasPublished(spec.name, generation)))
    ) {
      const peers = await this.#whenStoreAnswers(spec.name, signal, () => this.#publication.peersOf(spec));
      await this.#prover.proveWithPeers(spec, peers, signal);
      this.#rememberPairs();
    }
    await this.#whenStoreAnswers(spec.name, signal, () => this.#publication.publish(spec, generation, signal));
  }

  /** A worker is not to blame for a discovery store that cannot be reached: it waits, and nothing is restarted for it. */
  async #whenStoreAnswers<T>(name: string, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await action();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof DynamoError) || !STORE_TROUBLE.has(error.code)) throw error;
        if (attempt === 0) this.#context.events.write('discovery', `waiting for the store: ${error.message}`, name);
        this.#process(name).waitFor(`the discovery store: ${error.message}`);
        await sleep(backoffDelay(STORE_BACKOFF, attempt, this.#context.random()), signal);
      }
    }
  }

  /** For the status after this agent; not worth failing for. */
  #rememberPairs(): void {
    try {
      this.#context.journal.write({ pairs: this.#prover.snapshots() });
    } catch (error) {
      this.#context.events.write('journal', messageOf(error));
    }
  }

  async #frontendServes(spec: ProcessSpec): Promise<void> {
    let detail = '';
    const serves = await until(
      async () => {
        const result = await runCheck({ kind: 'http', path: '/health' }, spec, 2_000, this.#context.signal);
        detail = result.detail;
        return result.ok ? true : undefined;
      },
      { deadlineMs: FRONTEND_SERVES_MS, intervalMs: 10, signal: this.#context.signal },
    );
    if (!serves) throw new DynamoError('NOT_READY', `${spec.name} did not see every model in discovery: ${detail}`);
  }

  #environment(spec: ProcessSpec): NodeJS.ProcessEnv {
    const { DYNAMO_CRASH_AT: _, DYNAMO_SHIM_STAGE: __, ...inherited } = process.env;
    const own = Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, resolveEnvValue(value)]));
    return { ...inherited, ...own, DYNAMO_DEPLOYMENT_DIR: this.#context.deploymentDir };
  }

  /** A controller that was suspended may come back in the middle of an undo: it learns that it must begin again. */
  #mustStand(): void {
    if (this.idle || this.#ending)
      throw new DynamoError('START_LOST', `the part of ${this.#context.deployment} on this host was undone`);
  }

  #process(name: string): GangProcess {
    const found = this.#processes.get(name);
    if (!found)
      throw new DynamoError('START_LOST', `this agent has no process ${name}: its part of the start was undone`);
    return found;
  }
}

export interface GangContext {
  deployment: string;
  deploymentDir: string;
  paths: AgentPaths;
  journal: AgentJournal;
  discovery: Discovery;
  events: EventLog;
  signal: AbortSignal;
  random(): number;
  changed(): void;
}
