import { DynamoError, messageOf } from '../base/errors.ts';
import type { PairSnapshot } from '../deployment/snapshot.ts';
import { isFollower } from '../plan/worker-group.ts';
import type { ExtendParams, ProvePair } from '../supervise/protocol.ts';
import { killRun } from '../supervise/shim-process.ts';
import { type JournalChange, newEntry } from './agent-journal.ts';
import type { GangContext, GangMembers } from './gang-members.ts';

const SWEEP_MS = 5_000;

/**
 * Changes what a committed gang runs: new processes come as a gang of their own, and others go.
 *
 *   none ─▶ reserved ─▶ prepared ─▶ launched ─▶ ready, proven ─▶ published ─▶ none: settled, the revision is committed
 *     ▲         └───────────┴───────────┴─────────────┴──────────────┘
 *     └──────────────────────── undo: drained and forgotten
 *
 * Until they are settled nothing restarts them, and whatever fails undoes them all. Every method may be called again.
 */
export class GangChange {
  readonly #context: GangContext;
  readonly #members: GangMembers;
  readonly #phase: () => string;
  #undoing: Promise<void> | undefined;

  constructor(context: GangContext, members: GangMembers, phase: () => string) {
    this.#context = context;
    this.#members = members;
    this.#phase = phase;
  }

  get pending(): JournalChange | undefined {
    return this.#context.journal.state.change ?? undefined;
  }

  /** Whether that process belongs to a change that is not committed. */
  holds(name: string): boolean {
    return this.pending?.names.includes(name) ?? false;
  }

  async reserve(params: ExtendParams): Promise<void> {
    const { journal } = this.#context;
    if (this.#phase() !== 'committed' || journal.state.generation !== params.generation)
      throw new DynamoError('START_LOST', `generation ${params.generation} is not committed on this host`);
    await this.#undoing;
    const { revision, planHash, processes } = params;
    if (this.pending && this.pending.revision !== revision)
      throw new DynamoError('DEPLOYMENT_BUSY', `change ${this.pending.revision} is not done yet`);
    if (!this.pending) {
      const names = processes.map((spec) => spec.name);
      // A name that was used before goes on counting: what was withdrawn under it stays withdrawn.
      const used = await this.#members.publication.newestGenerations(names);
      journal.write({
        change: { revision, planHash, names },
        processes: [...journal.state.processes, ...processes.map((spec) => newEntry(spec, used.get(spec.name)))],
      });
      for (const spec of processes) this.#members.add(spec);
    }
    await this.#members.reserve(processes);
    this.#context.changed();
  }

  async prepare(revision: number): Promise<void> {
    const fresh = await this.#members.nextIncarnations(this.#own(revision));
    const members = this.#own(revision);
    this.#context.journal.writeProcesses(fresh);
    await Promise.all([...members.map((process) => process.spawn()), this.#members.refuseGpuStrangers(members)]);
  }

  launch(revision: number, names: readonly string[]): void {
    const members = this.#own(revision).filter((process) => names.includes(process.spec.name));
    this.#context.journal.writeProcesses(new Map(members.map(({ spec }) => [spec.name, { wanted: true }])));
    for (const process of members) process.launch();
  }

  async ready(revision: number, names: readonly string[]): Promise<void> {
    const members = this.#own(revision).filter((process) => names.includes(process.spec.name));
    await Promise.all(members.map((process) => process.whenReady()));
  }

  /** Also for a host that has no new process, but a decode worker that new ones are paired with. */
  async prove(pairs: readonly ProvePair[]): Promise<PairSnapshot[]> {
    const proven = await this.#members.prover.proveAll(pairs);
    this.#context.journal.write({ pairs: this.#members.prover.snapshots() });
    return proven;
  }

  async publish(revision: number): Promise<void> {
    const members = this.#own(revision);
    const allReady = () => Promise.all(members.map((process) => process.whenReady()));
    await allReady();
    await Promise.all(
      members
        .filter(({ spec }) => !isFollower(spec))
        .map(({ spec, generation }) => this.#members.publication.publish(spec, generation, this.#context.signal)),
    );
    await allReady();
  }

  /** The revision is committed: its processes are like all others from here on. */
  settle(revision: number): void {
    const { pending } = this;
    if (pending?.revision !== revision) return;
    this.#context.journal.write({ change: null });
    for (const name of pending.names) this.#members.get(name).settled();
    this.#context.changed();
  }

  /** Takes an uncommitted change back. What frontends know already is drained first. */
  undo(reason: string): Promise<void> {
    const { pending } = this;
    if (!pending) return this.#undoing ?? Promise.resolve();
    this.#undoing ??= this.#forget(pending.names, reason, () =>
      this.#context.journal.forgetProcesses(pending.names, { change: null }),
    ).finally(() => {
      this.#undoing = undefined;
    });
    return this.#undoing;
  }

  /** Drains processes of the committed set, ends them and forgets them. */
  async retire(names: readonly string[]): Promise<void> {
    const known = names.filter((name) =>
      this.#context.journal.state.processes.some((entry) => entry.spec.name === name),
    );
    if (known.length === 0) return;
    await this.#forget(known, null, () => this.#context.journal.forgetProcesses(known));
  }

  async #forget(names: readonly string[], reason: string | null, write: () => void): Promise<void> {
    if (reason !== null) this.#context.events.write('change-undo', `${names.join(', ')}: ${reason}`);
    await Promise.all(names.map((name) => this.#members.takeOut(name)));
    for (const name of names) {
      const { runId } = this.#context.journal.process(name);
      const left = runId === '' ? [] : await killRun({ runId }, SWEEP_MS);
      if (left.length > 0) this.#context.events.write('left', `could not be ended: ${left.join(', ')}`, name);
    }
    const gone = names.map((name) => this.#members.get(name).spec);
    this.#members.remove(names);
    this.#members.prover.forgetProcesses(names);
    this.#members.reservations.giveBack(gone);
    try {
      write();
    } catch (error) {
      this.#context.events.write('journal', messageOf(error));
    }
    this.#context.changed();
  }

  #own(revision: number) {
    const { pending } = this;
    if (pending?.revision !== revision || this.#undoing)
      throw new DynamoError('START_LOST', `change ${revision} was undone on this host`);
    return pending.names.map((name) => this.#members.get(name));
  }
}
