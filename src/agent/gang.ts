import { DynamoError, messageOf } from '../base/errors.ts';
import type { PairSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';
import { isFollower } from '../plan/worker-group.ts';
import type { GangPhase, HeardPair, ProvePair, ReserveParams } from '../supervise/protocol.ts';
import { killRun } from '../supervise/shim-process.ts';
import { newEntry } from './agent-journal.ts';
import { removeDataDir } from './data-dirs.ts';
import { frontendServes } from './frontend-serves.ts';
import { GangChange } from './gang-change.ts';
import { type GangContext, GangMembers } from './gang-members.ts';
import type { GroupRestarts } from './group-restarts.ts';
import { removeLaunchFiles } from './launch-files.ts';

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
  readonly #members: GangMembers;
  readonly change: GangChange;
  /** Being stopped or undone: no step of a start may go on. */
  #ending = false;

  constructor(context: GangContext) {
    this.#context = context;
    this.#members = new GangMembers(context, (name) => this.phase === 'committed' && !this.change.holds(name));
    this.change = new GangChange(context, this.#members, () => (this.#ending ? 'stopping' : this.phase));
  }

  get phase(): GangPhase {
    return this.#context.journal.state.phase;
  }

  get idle(): boolean {
    return this.phase === 'idle';
  }

  /** Takes up what an earlier agent of this deployment left behind. */
  async adopt(): Promise<void> {
    const { processes, pairs } = this.#context.journal.state;
    for (const entry of processes) this.#members.add(entry.spec);
    this.#members.prover.restore(pairs ?? []);
    await Promise.all(this.#members.all.map((process) => process.adopt()));
    this.#members.groups.afterAdoption();
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
    if (this.idle) {
      // A new generation begins without the data of another.
      for (const spec of params.processes) removeDataDir(spec, this.#context.deploymentDir);
      journal.write({
        phase: 'reserved',
        generation: params.generation,
        planHash: params.planHash,
        startLeaseMs: params.startLeaseMs,
        discovery: params.discovery,
        processes: params.processes.map((spec) => newEntry(spec)),
      });
      this.#members.clear();
      for (const spec of params.processes) this.#members.add(spec);
    }
    await this.#members.reserve(params.processes);
    this.#context.changed();
  }

  async prepare(): Promise<void> {
    this.#mustStand();
    const { all } = this.#members;
    const fresh = await this.#members.nextIncarnations(all);
    this.#mustStand();
    this.#context.journal.writeProcesses(fresh, this.phase === 'reserved' ? { phase: 'prepared' } : {});
    // Together: nvidia-smi takes as long as all shims do. Nothing is launched anywhere before every host is prepared.
    await Promise.all([...all.map((process) => process.spawn()), this.#members.refuseGpuStrangers(all)]);
  }

  launch(names: readonly string[]): void {
    this.#mustStand();
    const processes = names.map((name) => this.#members.get(name));
    this.#context.journal.writeProcesses(
      new Map(names.map((name) => [name, { wanted: true }])),
      this.phase === 'prepared' ? { phase: 'starting' } : {},
    );
    for (const process of processes) process.launch();
  }

  async ready(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#members.get(name).whenReady()));
  }

  async prove(pairs: readonly ProvePair[]): Promise<PairSnapshot[]> {
    const proven = await this.#members.prover.proveAll(pairs);
    if (this.phase === 'starting')
      this.#context.journal.write({ phase: 'proved', pairs: this.#members.prover.snapshots() });
    return proven;
  }

  /**
   * Puts every process into discovery, then waits until the frontends serve all models.
   * Rejects when one is not ready any more: nothing is committed that is not whole.
   */
  async publish(): Promise<void> {
    this.#mustStand();
    const ready = this.#members.all;
    const published = ready.filter(({ spec }) => spec.role !== 'store' && !isFollower(spec));
    const allReady = () => Promise.all(ready.map((process) => process.whenReady()));
    await allReady();
    await Promise.all(
      published.map((process) =>
        this.#members.publication.publish(process.spec, process.generation, this.#context.signal),
      ),
    );
    const frontends = ready.filter((process) => process.spec.role === 'frontend');
    await Promise.all(frontends.map((process) => frontendServes(process.spec, this.#context.signal)));
    await allReady();
    if (this.phase === 'proved') this.#context.journal.write({ phase: 'published' });
  }

  /** The start is committed: restart policies apply from here on. */
  settle(): void {
    this.#mustStand();
    if (this.phase !== 'committed') {
      this.#context.journal.write({ phase: 'committed' });
      for (const process of this.#members.all) process.settled();
    }
    this.#context.changed();
  }

  /** Takes one process out of service without losing a request. It stays down until `restart`. */
  async drain(name: string): Promise<void> {
    await this.#members.takeOut(name);
  }

  /** Drains one process and starts it anew. Resolves when it is ready again. */
  async restart(name: string): Promise<void> {
    await this.drain(name);
    await this.bringUp(name);
  }

  /** Starts a process that was drained. Resolves when it is ready. */
  async bringUp(name: string): Promise<void> {
    const process = this.#members.get(name);
    await process.startAgain();
    await process.whenReady();
  }

  get groups(): GroupRestarts {
    return this.#members.groups;
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
    return this.#members.snapshots();
  }

  pairs(): HeardPair[] {
    const now = Date.now();
    return this.#members.prover
      .snapshots()
      .map(({ at, ...pair }) => ({ ...pair, ...(at !== undefined && { ageMs: Math.max(0, now - at) }) }));
  }

  async #end(options: { force: boolean }): Promise<number[]> {
    this.#ending = true;
    const { all } = this.#members;
    const frontends = all.filter((process) => process.spec.role === 'frontend');
    const others = all.filter((process) => !['frontend', 'store'].includes(process.spec.role));
    const stores = all.filter((process) => process.spec.role === 'store');
    // A frontend finishes its streams on SIGTERM; the workers must outlive that.
    await Promise.all(frontends.map((process) => this.#members.publication.withdraw(process.spec.name)));
    await Promise.all(
      frontends.map((process) =>
        process.stop(options.force ? 0 : process.spec.drain.inFlightMs + process.spec.drain.killAfterMs),
      ),
    );
    await Promise.all(others.map((process) => this.#members.publication.withdraw(process.spec.name)));
    await Promise.all(others.map((process) => process.stop(options.force ? 0 : process.spec.drain.killAfterMs)));
    await this.#members.publication.withdrawAll();
    await Promise.all(stores.map((process) => process.stop(options.force ? 0 : process.spec.drain.killAfterMs)));
    const runIds = this.#context.journal.state.processes.map((entry) => entry.runId).filter((runId) => runId !== '');
    const left = (await Promise.all(runIds.map((runId) => killRun({ runId }, 5_000)))).flat();
    if (left.length === 0) this.#removeData();
    this.#members.reservations.release();
    this.#members.clear();
    this.#members.prover.forget();
    if (left.length === 0) this.#context.journal.forget();
    this.#ending = false;
    this.#context.changed();
    return left;
  }

  #removeData(): void {
    try {
      for (const { spec } of this.#members.all) removeDataDir(spec, this.#context.deploymentDir);
      removeLaunchFiles(this.#context.paths.dir);
    } catch (error) {
      this.#context.events.write('data', `data stays behind: ${messageOf(error)}`);
    }
  }

  /** A controller that was suspended may come back in the middle of an undo: it learns that it must begin again. */
  #mustStand(): void {
    if (this.idle || this.#ending)
      throw new DynamoError('START_LOST', `the part of ${this.#context.deployment} on this host was undone`);
  }
}
