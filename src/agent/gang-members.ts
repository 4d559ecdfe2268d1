import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import { type AgentPaths, stateHome } from '../deployment/state-dir.ts';
import { listGpuProcesses } from '../hosts/gpu-processes.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { Admission } from './admission.ts';
import type { AgentJournal, JournalProcess } from './agent-journal.ts';
import type { AgentStore } from './agent-store.ts';
import { checkInstalledFlags } from './check-flags.ts';
import type { PeerState } from './crash/crash-report.ts';
import type { CrashReporter } from './crash/crash-reporter.ts';
import { ExternalProcess } from './external-process.ts';
import { FreshPorts } from './fresh-ports.ts';
import { refuseGpuStrangers, standingOf } from './gpu-strangers.ts';
import { GroupRestarts } from './group-restarts.ts';
import { PairProver } from './pair-prover.ts';
import type { GangProcess } from './process-context.ts';
import { processEnvironment } from './process-environment.ts';
import { Publication } from './publication.ts';
import { Reservations } from './reservations.ts';
import type { SharedMemoryWatch } from './shared-memory-watch.ts';
import { SupervisedProcess } from './supervised-process.ts';

/** Two ends within this time may have to do with each other. */
const RECENT_MS = 60_000;

/** What a gang needs from its agent. */
export interface GangContext {
  deployment: string;
  deploymentDir: string;
  paths: AgentPaths;
  journal: AgentJournal;
  store: Pick<AgentStore, 'discovery'>;
  events: EventLog;
  /** Ends with the agent. */
  signal: AbortSignal;
  /** In [0, 1). */
  random(): number;
  crashes: CrashReporter;
  sharedMemory: SharedMemoryWatch;
  changed(): void;
}

/** The processes of a gang on this host, and what they share: reservations, discovery records, proven pairs. */
export class GangMembers {
  readonly reservations: Reservations;
  readonly publication: Publication;
  readonly prover: PairProver;
  readonly groups: GroupRestarts;
  readonly #context: GangContext;
  readonly #processes = new Map<string, GangProcess>();
  readonly #isCommitted: (name: string) => boolean;
  readonly #admission: Admission;
  readonly #freshPorts: FreshPorts;

  /** `isCommitted`: whether that process belongs to what was committed: restart policies apply to it. */
  constructor(context: GangContext, isCommitted: (name: string) => boolean) {
    this.#context = context;
    this.#isCommitted = isCommitted;
    this.reservations = new Reservations(
      context.deployment,
      (gpu) => this.all.some((process) => process.running && process.spec.gpus.includes(gpu)),
      context.signal,
    );
    this.prover = new PairProver(context);
    this.groups = new GroupRestarts(() => this.all, context.events);
    this.publication = new Publication(context.store, context.deployment, context.events, context.signal);
    const { journal, events, random } = context;
    this.#admission = new Admission(
      { journal, events, random, process: (name) => this.#processes.get(name) },
      this.publication,
      this.prover,
    );
    this.#freshPorts = new FreshPorts(() => context.journal.state.processes.map((entry) => entry.spec), context.events);
  }

  get all(): GangProcess[] {
    return [...this.#processes.values()];
  }

  get running(): Set<string> {
    return new Set(this.all.filter((process) => process.running).map((process) => process.spec.name));
  }

  /** Throws `START_LOST` when there is none. */
  get(name: string): GangProcess {
    const found = this.#processes.get(name);
    if (!found)
      throw new DynamoError('START_LOST', `this agent has no process ${name}: its part of the start was undone`);
    return found;
  }

  add(spec: ProcessSpec): void {
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
        mayRestart: () => this.#isCommitted(spec.name),
        lockFds: (own) => this.reservations.lockFds(own),
        freshPorts: this.#freshPorts,
        sharedMemory: context.sharedMemory,
        environment: (own) => processEnvironment(own, context.deploymentDir),
        onReady: async (process, signal) => {
          if (spec.role !== 'store' && this.#isCommitted(spec.name)) await this.#admission.admit(process, signal);
        },
        onGone: (process) => {
          void this.publication.withdraw(process.spec.name);
          this.reservations.keep(process.spec);
          this.groups.ended(process);
        },
        beforeRestart: (process, signal) => this.groups.beforeRestart(process, signal),
        crashes: context.crashes,
        peers: (own) => this.#peersOf(own),
        changed: () => {
          this.groups.look();
          context.changed();
        },
      }),
    );
  }

  /** Takes hold of what those need that do not run yet. Throws what is missing, all of one kind at once. */
  async reserve(specs: readonly ProcessSpec[]): Promise<void> {
    const { running } = this;
    await this.reservations.reserve(specs, running);
    await checkInstalledFlags(
      specs.filter((spec) => !running.has(spec.name)),
      {
        cacheDir: path.join(stateHome(), 'engines'),
        environment: (spec) => processEnvironment(spec, this.#context.deploymentDir),
        note: (message) => this.#context.events.write('flags', message),
        signal: this.#context.signal,
      },
    );
  }

  /**
   * Looks once, right before they are launched, whether somebody who takes no lock of ours is on their GPUs. Throws `GPU_UNAVAILABLE`
   * with who it is.
   */
  async refuseGpuStrangers(members: readonly GangProcess[]): Promise<void> {
    const gpus = [...new Set(members.flatMap(({ spec }) => (spec.external ? [] : spec.gpus)))].toSorted(
      (a, b) => a - b,
    );
    if (gpus.length === 0 || process.env['DYNAMO_GPU_STRANGERS'] === 'allow') return;
    const { events, journal, signal } = this.#context;
    const own = {
      runIds: new Set(journal.state.processes.map(({ runId }) => runId)),
      usesGpu: (gpu: number) =>
        this.all.some(({ running, state, spec }) => running && state !== 'prepared' && spec.gpus.includes(gpu)),
    };
    await refuseGpuStrangers({
      host: members[0]!.spec.host,
      look: async () => {
        const { processes, problem } = await listGpuProcesses(gpus);
        if (problem !== null) events.write('gpus', `who uses GPU ${gpus.join(', ')} is not known: ${problem}`);
        return processes;
      },
      judge: (found) => standingOf(found, own),
      note: (message) => events.write('gpus', message),
      signal,
    });
  }

  /** What must be in the journal before those of them that do not run are spawned. */
  async nextIncarnations(members: readonly GangProcess[]): Promise<Map<string, Partial<JournalProcess>>> {
    const next = await Promise.all(
      members.map(async (process) => [process.spec.name, await process.nextIncarnation()] as const),
    );
    return new Map(next.flatMap(([name, entry]) => (entry ? [[name, entry] as const] : [])));
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#processes.delete(name);
  }

  clear(): void {
    this.#processes.clear();
  }

  /**
   * Takes one process out of service without losing a request: withdrawn, frontends have let go of it, nothing in flight, then
   * SIGTERM. It stays down.
   */
  async takeOut(name: string): Promise<void> {
    const process = this.get(name);
    const { drain, role } = process.spec;
    this.#context.journal.writeProcesses(new Map([[name, { wanted: false }]]));
    if (role === 'frontend') {
      await this.publication.withdraw(name);
      await process.stop(drain.inFlightMs + drain.killAfterMs); // it finishes its streams on SIGTERM
      return;
    }
    process.markDraining('its requests in flight');
    await this.publication.drain(process.spec, drain.inFlightMs);
    await process.stop(drain.killAfterMs);
  }

  #peersOf({ name }: ProcessSpec): PeerState[] {
    return this.prover.snapshots().flatMap((pair) => {
      if (pair.prefill !== name && pair.decode !== name) return [];
      const peer = this.#processes.get(pair.prefill === name ? pair.decode : pair.prefill)?.snapshot();
      if (!peer) return [];
      const proof = pair.state === 'failed' && pair.detail ? `failed: ${pair.detail}` : pair.state;
      return [{ name: peer.name, state: peer.state, pair: proof, ended: recentEnd(peer) }];
    });
  }

  snapshots(): ProcessSnapshot[] {
    return this.all.map((process) => process.snapshot());
  }
}

/** An end so recent that it may have to do with that of a peer. */
function recentEnd({ lastExit }: ProcessSnapshot): string | null {
  return lastExit && Date.now() - Date.parse(lastExit.at) < RECENT_MS ? lastExit.reason : null;
}
