import { anySignal, pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { ProcessSnapshot, ProcessState } from '../deployment/snapshot.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { killRun, type ShimExit, ShimProcess } from '../supervise/shim-process.ts';
import type { JournalProcess } from './agent-journal.ts';
import { type EndedIncarnation, ExitRecord } from './exit-record.ts';
import { explainExit } from './explain-exit.ts';
import { launchFilesDir, writeLaunchFiles } from './launch-files.ts';
import { nextIncarnation } from './next-incarnation.ts';
import { PhaseClock } from './phase-clock.ts';
import type { GangProcess, ProcessContext } from './process-context.ts';
import { ProcessOutput } from './process-output.ts';
import { processSnapshot } from './process-snapshot.ts';
import { ProcessStatus } from './process-status.ts';
import { awaitReadiness } from './readiness.ts';
import { refuseStrangers } from './refuse-strangers.ts';
import { mayStartAgain } from './restart-gate.ts';
import { RunFolders } from './run-folders.ts';
import { recallSecrets } from './sent-secrets.ts';
import { watchLiveness } from './watch-liveness.ts';

/** Longest wait for what outlived its shim to be gone. */
const SWEEP_MS = 2_000;

/**
 * One supervised process over all its incarnations; the only owner of its state.
 *
 *   pending ─▶ prepared ─▶ starting ─▶ ready ─▶ draining ─▶ stopping ─▶ exited
 *                 ▲            │          │ exit, or liveness lost
 *                 │            ▼          ▼
 *                 └─ backoff ◀─ decided by the restart policy ─▶ failed | exited
 *
 * Before the gang is committed nothing is restarted: a failure ends the start.
 */
export class SupervisedProcess implements GangProcess {
  /** As it is, or was last, started: a restart may change its ports. */
  #spec: ProcessSpec;
  readonly #context: ProcessContext;
  readonly #status: ProcessStatus;
  readonly #runs: RunFolders;
  readonly #exits: ExitRecord;
  readonly #output: ProcessOutput;
  readonly #phases = new PhaseClock();
  #shim: ShimProcess | undefined;
  /** A spawn under way: whoever stops the process waits for it, so that no shim comes up behind its back. */
  #spawning: Promise<void> | undefined;
  #failure: DynamoError | undefined;
  /** Why dynamo itself killed it: the signal alone would not say. */
  #killReason: string | null = null;
  /** Set while an operator or the gang takes it down: an exit is then expected. */
  #stopping = false;
  #readySince: number | undefined;
  /** Ends what belongs to the current incarnation: readiness, liveness, backoff. */
  #incarnation = new AbortController();

  constructor(spec: ProcessSpec, context: ProcessContext) {
    this.#spec = spec;
    this.#context = context;
    this.#status = new ProcessStatus(spec.name, context.events, context.changed);
    this.#runs = new RunFolders(context.paths, spec.name);
    this.#exits = new ExitRecord(spec, context);
    this.#output = new ProcessOutput(spec, context);
  }

  get spec(): ProcessSpec {
    return this.#spec;
  }

  get state(): ProcessState {
    return this.#status.state;
  }

  get generation(): number {
    return this.#context.journal.process(this.spec.name).incarnation;
  }

  get running(): boolean {
    return this.#shim?.alive ?? false;
  }

  /** What must be in the journal before `spawn`; undefined while an incarnation is alive. */
  async nextIncarnation(): Promise<Partial<JournalProcess> | undefined> {
    if (this.running) return undefined;
    const { journal, freshPorts } = this.#context;
    const entry = journal.process(this.spec.name);
    return nextIncarnation(entry, freshPorts, this.#output.file, this.#context.mayRestart());
  }

  /** Spawns the shim of the incarnation the journal names; it waits for `launch`. Does nothing while one is alive. */
  spawn(): Promise<void> {
    if (this.running) return Promise.resolve();
    this.#spawning = this.#spawnShim();
    return this.#spawning;
  }

  async #spawnShim(): Promise<void> {
    const { journal, lockFds, environment } = this.#context;
    const { incarnation, runId, spec } = journal.process(this.spec.name);
    this.#spec = spec;
    const runDir = this.#runs.clear(incarnation);
    this.#begin();
    this.#shim = await ShimProcess.prepare({
      runDir,
      runId,
      argv: writeLaunchFiles(this.spec, launchFilesDir(this.#context.paths.dir, this.spec.name)),
      env: { ...environment(this.spec), DYNAMO_RUN_ID: runId },
      cwd: this.spec.cwd,
      logFile: this.#output.file,
      lockFds: lockFds(this.spec),
    });
    this.#context.sharedMemory.add(this.spec.name, this.#shim);
    this.#runs.prune(incarnation);
    this.#status.set('prepared', 'the start of its stage');
    void this.#watchExit(this.#shim, this.#incarnation.signal);
  }

  /** Lets the engine start and begins to look at its readiness; the journal says already that it shall run. */
  launch(): void {
    if (this.#status.state !== 'prepared' || !this.#shim) return;
    this.#shim.launch();
    this.#phases.begin(performance.now());
    this.#status.set('starting', 'its first sign of life');
    void this.#becomeReady(this.#incarnation.signal);
    void this.#announcePid(this.#incarnation.signal);
  }

  /** Takes up what an earlier agent left: a living incarnation, or the news of its end. What outlived its shim is ended first. */
  async adopt(): Promise<void> {
    const entry = this.#context.journal.process(this.spec.name);
    this.#exits.last = entry.lastExit ?? null;
    if (entry.incarnation === 0) return;
    this.#begin();
    this.#shim = ShimProcess.adopt(this.#runs.of(entry.incarnation), this.#context.signal);
    if (this.#shim) recallSecrets(this.spec, this.#shim.identity.pid);
    if (this.#shim?.launched) {
      this.#context.sharedMemory.add(this.spec.name, this.#shim);
      this.#status.set('starting', 'its readiness, after the agent came back');
      void this.#watchExit(this.#shim, this.#incarnation.signal);
      void this.#becomeReady(this.#incarnation.signal);
      return;
    }
    // It never got its `go`, or it ended while no agent lived.
    const exit = this.#shim ? { code: null, signal: null } : this.#runs.exitOf(entry.incarnation);
    this.#shim = undefined;
    await killRun(entry, SWEEP_MS);
    this.#context.sharedMemory.ended(this.spec.name, this.#runs.of(entry.incarnation));
    if (entry.wanted && this.#context.mayRestart()) this.#afterExit(exit, 'it ended while no agent lived');
    else this.#status.set('pending', null);
  }

  /** The gang is committed: what ended between its readiness and the commit comes under the restart policy now. */
  settled(): void {
    const { incarnation, wanted } = this.#context.journal.process(this.spec.name);
    if (!wanted || this.running || (this.#status.state !== 'failed' && this.#status.state !== 'pending')) return;
    this.#failure = undefined;
    this.#afterExit(this.#runs.exitOf(incarnation), 'it ended before the commit');
  }

  /** Resolves when ready; rejects with the reason it never will be. */
  async whenReady(): Promise<void> {
    while (this.#status.state !== 'ready') {
      if (this.#failure) throw this.#failure;
      // Taken down on purpose: the start it belonged to was undone or stopped.
      if (this.#stopping) throw new DynamoError('START_LOST', `${this.spec.name} was stopped before it was ready`);
      if (this.#status.state === 'exited')
        throw new DynamoError('EXITED_EARLY', `${this.spec.name} ended before it was ready`);
      await this.#status.change();
    }
  }

  /** Says what it is waiting for, beyond its own checks. */
  waitFor(what: string): void {
    this.#status.waitFor(what);
  }

  /** Marks it draining: the gang withdraws it and waits for its requests before `stop`. */
  markDraining(what: string): void {
    if (this.#status.state === 'ready') this.#status.set('draining', what);
    else this.#status.waitFor(what);
  }

  /** Ends it: SIGTERM to its group, SIGKILL after `killAfterMs`. Also cancels a pending restart. Resolves when all of it is gone. */
  async stop(killAfterMs: number): Promise<void> {
    this.#stopping = true;
    this.#incarnation.abort(); // nothing may make it ready, or restart it, from here on
    await this.#spawning?.catch(() => {});
    const shim = this.#shim;
    if (!shim || !this.running) {
      if (shim) await shim.exited;
      if (this.#status.state !== 'failed') this.#status.set('exited', null);
      return;
    }
    this.#status.set(
      'stopping',
      killAfterMs === 0 ? 'SIGKILL' : `its exit after SIGTERM (SIGKILL in ${killAfterMs / 1000} s)`,
    );
    this.#context.sharedMemory.look();
    await shim.terminate(killAfterMs);
    this.#status.set('exited', null);
  }

  fail(reason: string): void {
    if (!this.#stopping) this.#kill(reason);
  }

  /** Starts it again after a `stop`, or after its restarts were spent. */
  async startAgain(): Promise<void> {
    if (this.running) return;
    this.#begin();
    const { signal } = this.#incarnation;
    if (!(await mayStartAgain(this, this.#context, this.#status, signal, false))) return; // stopped again meanwhile
    const next = { ...(await this.nextIncarnation()), wanted: true, attempt: 0 };
    if (signal.aborted) return;
    this.#context.journal.writeProcesses(new Map([[this.spec.name, next]]));
    await this.spawn();
    this.launch();
  }

  snapshot(): ProcessSnapshot {
    return processSnapshot(this.spec, this.#context.journal.process(this.spec.name), this.#status, {
      pid: this.running ? (this.#shim?.enginePid ?? null) : null,
      lastExit: this.#exits.last,
      startPhases: this.#phases.durations(performance.now()),
      logFile: this.#output.file,
    });
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    try {
      await awaitReadiness(this.spec, {
        lastLines: (count) => this.#output.last(count),
        onWaiting: (text) => {
          this.#status.waitFor(text);
        },
        onPhase: (phase) => this.#phases.enter(phase, performance.now()),
        refuseStrangers: async () => {
          if (this.#shim) await refuseStrangers(this.spec, this.#shim.identity, signal);
        },
        signal,
      });
      this.#phases.enter('prove', performance.now());
      await this.#context.onReady(this, signal);
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) return; // it ended, or it is being stopped: told elsewhere
      const failure =
        error instanceof DynamoError
          ? error
          : new DynamoError('NOT_READY', `${this.spec.name}: ${messageOf(error)}`, { cause: error });
      this.#failure = new DynamoError(failure.code, failure.message, {
        hint: failure.hint,
        details: failure.details.length > 0 ? failure.details : this.#output.last(20),
        ports: failure.ports,
      });
      this.#context.events.write('not-ready', failure.message, this.spec.name);
      if (this.#context.mayRestart()) this.#kill(failure.message);
      else this.#status.set('failed', null);
      return;
    }
    this.#readySince = performance.now();
    this.#phases.end(this.#readySince);
    this.#failure = undefined;
    this.#status.set('ready', null);
    void this.#watchLiveness(signal);
  }

  /** The engine's pid is known a moment after its launch; with no checks nothing else would change then. */
  async #announcePid(signal: AbortSignal): Promise<void> {
    await until(() => this.#shim?.enginePid ?? undefined, { deadlineMs: 10_000, signal }).catch(() => {});
    this.#context.changed();
  }

  async #watchLiveness(signal: AbortSignal): Promise<void> {
    const reason = await watchLiveness(this.spec, () => this.state === 'ready', signal);
    if (reason === undefined) return;
    this.#context.events.write('liveness-lost', `${reason}; killing it`, this.spec.name);
    this.#kill(reason);
  }

  async #watchExit(shim: ShimProcess, signal: AbortSignal): Promise<void> {
    const exit = await shim.exited;
    this.#context.sharedMemory.ended(this.spec.name, shim.runDir);
    if (this.#shim !== shim || signal.aborted || this.#context.signal.aborted) return;
    this.#incarnation.abort();
    if (this.#stopping) return;
    this.#afterExit(exit, this.#killReason);
  }

  #kill(reason: string): void {
    this.#killReason = reason;
    this.#context.sharedMemory.look();
    this.#shim?.kill();
  }

  #afterExit(exit: ShimExit, note: string | null): void {
    const readyForMs = this.#readySince === undefined ? null : performance.now() - this.#readySince;
    this.#readySince = undefined;
    const lines = this.#output.telling(20);
    const crash = { exit, note, readyForMs, lines };
    this.#context.onGone(this);
    if (!this.#context.mayRestart()) {
      const how = this.#exits.recordFatal(crash, this.#ended());
      this.#failure ??= explainExit(this.spec, how, lines, this.#exits.last?.report ?? null);
      this.#exits.announce(this.#failure.message);
      this.#status.set('failed', null);
      return;
    }
    const { attempt } = this.#context.journal.process(this.spec.name);
    const decision = this.#exits.decide(crash, attempt, this.#ended());
    const { reason } = decision;
    this.#exits.announce(reason);
    if (decision.action === 'restart') {
      void this.#restart(decision.attempt, decision.delayMs, reason);
      return;
    }
    this.#failure = new DynamoError('PROCESS_FAILED', `${this.spec.name}: ${reason}`, { details: lines });
    this.#persist({ wanted: false, lastExit: this.#exits.last });
    this.#status.set(decision.action === 'done' ? 'exited' : 'failed', null);
  }

  async #restart(attempt: number, delayMs: number, reason: string): Promise<void> {
    this.#begin();
    const { signal } = this.#incarnation;
    this.#status.set('backoff', `its restart in ${(delayMs / 1000).toFixed(1)} s: ${reason}`);
    await pause(delayMs, anySignal(signal, this.#context.signal));
    if (signal.aborted || this.#context.signal.aborted || this.#stopping) return;
    try {
      if (!(await mayStartAgain(this, this.#context, this.#status, signal, true)) || this.#stopping) return;
      const { restarts } = this.#context.journal.process(this.spec.name);
      const next = await this.nextIncarnation();
      if (signal.aborted || this.#stopping) return;
      const change = { ...next, attempt, restarts: restarts + 1, lastExit: this.#exits.last };
      this.#context.journal.writeProcesses(new Map([[this.spec.name, change]]));
      await this.spawn();
      if (!this.#stopping) this.launch();
    } catch (error) {
      if (this.#stopping) return;
      // No disk, no shim: as good as another failed try, and it waits longer each time.
      this.#afterExit({ code: null, signal: null }, messageOf(error));
    }
  }

  #ended(): EndedIncarnation {
    return {
      incarnation: this.generation,
      pid: this.#shim?.enginePid ?? null,
      killedBecause: this.#killReason,
      wasDoing: this.#status.state === 'starting' ? this.#status.waitingFor : null,
      logFile: this.#output.file,
    };
  }

  #persist(change: Partial<JournalProcess>): void {
    try {
      this.#context.journal.writeProcesses(new Map([[this.spec.name, change]]));
    } catch (error) {
      this.#context.events.write('journal', messageOf(error), this.spec.name);
    }
  }

  #begin(): void {
    this.#incarnation.abort();
    this.#incarnation = new AbortController();
    this.#stopping = false;
    this.#failure = undefined;
    this.#killReason = null;
  }
}
