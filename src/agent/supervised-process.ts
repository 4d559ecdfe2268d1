import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { anySignal, pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { ExitSnapshot, ProcessSnapshot, ProcessState } from '../deployment/snapshot.ts';
import { processLog } from '../deployment/state-dir.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { fileSize, lastLines } from '../supervise/log-tail.ts';
import { runCheck } from '../supervise/probes.ts';
import { decideRestart, describeExit } from '../supervise/restart-policy.ts';
import { killRun, type ShimExit, ShimProcess } from '../supervise/shim-process.ts';
import type { JournalProcess } from './agent-journal.ts';
import { explainExit } from './explain-exit.ts';
import { writeLaunchFiles } from './launch-files.ts';
import type { GangProcess, ProcessContext } from './process-context.ts';
import { awaitReadiness } from './readiness.ts';

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
  readonly spec: ProcessSpec;
  readonly #context: ProcessContext;
  #state: ProcessState = 'pending';
  #stateSince = performance.now();
  #waitingFor: string | null = null;
  #shim: ShimProcess | undefined;
  /** A spawn under way: whoever stops the process waits for it, so that no shim comes up behind its back. */
  #spawning: Promise<void> | undefined;
  #lastExit: ExitSnapshot | null = null;
  #failure: DynamoError | undefined;
  /** Why dynamo itself killed it: the signal alone would not say. */
  #killReason: string | null = null;
  /** Set while an operator or the gang takes it down: an exit is then expected. */
  #stopping = false;
  #readySince: number | undefined;
  /** Ends what belongs to the current incarnation: readiness, liveness, backoff. */
  #incarnation = new AbortController();
  #waiters: (() => void)[] = [];

  constructor(spec: ProcessSpec, context: ProcessContext) {
    this.spec = spec;
    this.#context = context;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get generation(): number {
    return this.#context.journal.process(this.spec.name).incarnation;
  }

  get running(): boolean {
    return this.#shim?.alive ?? false;
  }

  /** What must be in the journal before `spawn`; undefined while an incarnation is alive. */
  nextIncarnation(): Partial<JournalProcess> | undefined {
    if (this.running) return undefined;
    return { incarnation: this.generation + 1, runId: randomUUID(), logOffset: fileSize(this.#logFile) };
  }

  /** Spawns the shim of the incarnation the journal names; it waits for `launch`. Does nothing while one is alive. */
  spawn(): Promise<void> {
    if (this.running) return Promise.resolve();
    this.#spawning = this.#spawnShim();
    return this.#spawning;
  }

  async #spawnShim(): Promise<void> {
    const { journal, lockFds, environment } = this.#context;
    const { incarnation, runId } = journal.process(this.spec.name);
    const runDir = this.#runDir(incarnation);
    rmSync(runDir, { recursive: true, force: true });
    this.#begin();
    this.#shim = await ShimProcess.prepare({
      runDir,
      runId,
      argv: writeLaunchFiles(this.spec, path.join(this.#context.paths.dir, 'files', this.spec.name)),
      env: { ...environment(this.spec), DYNAMO_RUN_ID: runId },
      cwd: this.spec.cwd,
      logFile: this.#logFile,
      lockFds: lockFds(this.spec),
    });
    this.#prune(incarnation);
    this.#set('prepared', 'the start of its stage');
    void this.#watchExit(this.#shim, this.#incarnation.signal);
  }

  /** Lets the engine start and begins to look at its readiness; the journal says already that it shall run. */
  launch(): void {
    if (this.#state !== 'prepared' || !this.#shim) return;
    this.#shim.launch();
    this.#set('starting', 'its first sign of life');
    void this.#becomeReady(this.#incarnation.signal);
    void this.#announcePid(this.#incarnation.signal);
  }

  /** Takes up what an earlier agent left: a living incarnation, or the news of its end. What outlived its shim is ended first. */
  async adopt(): Promise<void> {
    const entry = this.#context.journal.process(this.spec.name);
    this.#lastExit = entry.lastExit ?? null;
    if (entry.incarnation === 0) return;
    this.#begin();
    this.#shim = ShimProcess.adopt(this.#runDir(entry.incarnation), this.#context.signal);
    if (this.#shim?.launched) {
      this.#set('starting', 'its readiness, after the agent came back');
      void this.#watchExit(this.#shim, this.#incarnation.signal);
      void this.#becomeReady(this.#incarnation.signal);
      return;
    }
    // It never got its `go`, or it ended while no agent lived.
    const exit = this.#shim ? { code: null, signal: null } : this.#recordedExit(entry.incarnation);
    this.#shim = undefined;
    await killRun(entry, SWEEP_MS);
    if (entry.wanted && this.#context.mayRestart()) this.#afterExit(exit, 'it ended while no agent lived');
    else this.#set('pending', null);
  }

  /** The gang is committed: what ended between its readiness and the commit comes under the restart policy now. */
  settled(): void {
    const { incarnation, wanted } = this.#context.journal.process(this.spec.name);
    if (!wanted || this.running || (this.#state !== 'failed' && this.#state !== 'pending')) return;
    this.#failure = undefined;
    this.#afterExit(this.#recordedExit(incarnation), 'it ended before the commit');
  }

  /** Resolves when ready; rejects with the reason it never will be. */
  async whenReady(): Promise<void> {
    while (this.#state !== 'ready') {
      if (this.#failure) throw this.#failure;
      // Taken down on purpose: the start it belonged to was undone or stopped.
      if (this.#stopping) throw new DynamoError('START_LOST', `${this.spec.name} was stopped before it was ready`);
      if (this.#state === 'exited')
        throw new DynamoError('EXITED_EARLY', `${this.spec.name} ended before it was ready`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Says what it is waiting for, beyond its own checks. */
  waitFor(what: string): void {
    this.#waitingFor = what;
    this.#context.changed();
  }

  /** Marks it draining: the gang withdraws it and waits for its requests before `stop`. */
  markDraining(what: string): void {
    if (this.#state === 'ready') this.#set('draining', what);
    else this.#waitingFor = what;
    this.#context.changed();
  }

  /** Ends it: SIGTERM to its group, SIGKILL after `killAfterMs`. Also cancels a pending restart. Resolves when all of it is gone. */
  async stop(killAfterMs: number): Promise<void> {
    this.#stopping = true;
    this.#incarnation.abort(); // nothing may make it ready, or restart it, from here on
    await this.#spawning?.catch(() => {});
    const shim = this.#shim;
    if (!shim || !this.running) {
      if (shim) await shim.exited;
      if (this.#state !== 'failed') this.#set('exited', null);
      return;
    }
    this.#set(
      'stopping',
      killAfterMs === 0 ? 'SIGKILL' : `its exit after SIGTERM (SIGKILL in ${killAfterMs / 1000} s)`,
    );
    await shim.terminate(killAfterMs);
    this.#set('exited', null);
  }

  /** Starts it again after a `stop`, or after its restarts were spent. */
  async startAgain(): Promise<void> {
    if (this.running) return;
    const next = { ...this.nextIncarnation(), wanted: true, attempt: 0 };
    this.#context.journal.writeProcesses(new Map([[this.spec.name, next]]));
    await this.spawn();
    this.launch();
  }

  snapshot(): ProcessSnapshot {
    const entry = this.#context.journal.process(this.spec.name);
    return {
      name: this.spec.name,
      role: this.spec.role,
      host: this.spec.host,
      state: this.#state,
      waitingFor: this.#waitingFor,
      pid: this.running ? (this.#shim?.enginePid ?? null) : null,
      generation: entry.incarnation,
      restarts: entry.restarts,
      url: this.spec.url,
      ports: this.spec.ports,
      gpus: this.spec.gpus,
      lastExit: this.#lastExit,
      inStateMs: Math.round(performance.now() - this.#stateSince),
      logFile: this.#logFile,
    };
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    try {
      await awaitReadiness(this.spec, {
        lastLines: (count) => this.#lastLines(count),
        onWaiting: (text) => {
          this.#waitingFor = text;
          this.#context.changed();
        },
        signal,
      });
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
        details: failure.details.length > 0 ? failure.details : this.#lastLines(20),
      });
      this.#context.events.write('not-ready', failure.message, this.spec.name);
      if (this.#context.mayRestart()) this.#kill(failure.message);
      else this.#set('failed', null);
      return;
    }
    this.#readySince = performance.now();
    this.#failure = undefined;
    this.#set('ready', null);
    void this.#watchLiveness(signal);
  }

  /** The engine's pid is known a moment after its launch; with no checks nothing else would change then. */
  async #announcePid(signal: AbortSignal): Promise<void> {
    await until(() => this.#shim?.enginePid ?? undefined, { deadlineMs: 10_000, signal }).catch(() => {});
    this.#context.changed();
  }

  async #watchLiveness(signal: AbortSignal): Promise<void> {
    const rule = this.spec.liveness;
    if (!rule) return;
    for (let misses = 0; !signal.aborted; ) {
      await pause(rule.periodMs, signal);
      if (signal.aborted || this.#state !== 'ready') return;
      const result = await runCheck(rule.check, this.spec, rule.timeoutMs, signal);
      if (signal.aborted) return;
      misses = result.ok ? 0 : misses + 1;
      if (misses < rule.failures) continue;
      const reason = `${misses} checks in a row failed: ${result.detail}`;
      this.#context.events.write('liveness-lost', `${reason}; killing it`, this.spec.name);
      this.#kill(reason);
      return;
    }
  }

  async #watchExit(shim: ShimProcess, signal: AbortSignal): Promise<void> {
    const exit = await shim.exited;
    if (this.#shim !== shim || signal.aborted || this.#context.signal.aborted) return;
    this.#incarnation.abort();
    if (this.#stopping) return;
    this.#afterExit(exit, this.#killReason);
  }

  #kill(reason: string): void {
    this.#killReason = reason;
    this.#shim?.kill();
  }

  #afterExit(exit: ShimExit, note: string | null): void {
    const readyForMs = this.#readySince === undefined ? 0 : performance.now() - this.#readySince;
    this.#readySince = undefined;
    const lines = this.#lastLines(20);
    const how = note ? `${describeExit(exit)} (${note})` : describeExit(exit);
    this.#context.onGone(this);
    if (!this.#context.mayRestart()) {
      this.#recordExit(exit, how, lines);
      this.#failure ??= explainExit(this.spec, how, lines);
      this.#context.events.write('exited', this.#failure.message, this.spec.name);
      this.#set('failed', null);
      return;
    }
    const entry = this.#context.journal.process(this.spec.name);
    const decision = decideRestart(this.spec.restart, { ...exit, readyForMs }, entry.attempt, this.#context.random());
    const reason = note ? `${decision.reason} (${note})` : decision.reason;
    this.#recordExit(exit, reason, lines);
    this.#context.events.write('exited', reason, this.spec.name);
    if (decision.action === 'restart') {
      void this.#restart(decision.attempt, decision.delayMs, reason);
      return;
    }
    this.#failure = new DynamoError('PROCESS_FAILED', `${this.spec.name}: ${reason}`, { details: lines });
    this.#persist({ wanted: false, lastExit: this.#lastExit });
    this.#set(decision.action === 'done' ? 'exited' : 'failed', null);
  }

  async #restart(attempt: number, delayMs: number, reason: string): Promise<void> {
    this.#begin();
    const { signal } = this.#incarnation;
    this.#set('backoff', `its restart in ${(delayMs / 1000).toFixed(1)} s: ${reason}`);
    await pause(delayMs, anySignal(signal, this.#context.signal));
    if (signal.aborted || this.#context.signal.aborted || this.#stopping) return;
    try {
      const { restarts } = this.#context.journal.process(this.spec.name);
      const change = { ...this.nextIncarnation(), attempt, restarts: restarts + 1, lastExit: this.#lastExit };
      this.#context.journal.writeProcesses(new Map([[this.spec.name, change]]));
      await this.spawn();
      if (!this.#stopping) this.launch();
    } catch (error) {
      if (this.#stopping) return;
      // No disk, no shim: as good as another failed try, and it waits longer each time.
      this.#afterExit({ code: null, signal: null }, messageOf(error));
    }
  }

  #recordExit(exit: ShimExit, reason: string, lines: string[]): void {
    this.#lastExit = { code: exit.code, signal: exit.signal, at: new Date().toISOString(), reason, lastLines: lines };
  }

  #recordedExit(incarnation: number): ShimExit {
    return ShimProcess.exitOf(this.#runDir(incarnation)) ?? { code: null, signal: null };
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

  #set(state: ProcessState, waitingFor: string | null): void {
    this.#waitingFor = waitingFor;
    if (state !== this.#state) {
      this.#context.events.write(
        'state',
        `${this.#state} → ${state}${waitingFor ? `, waiting for ${waitingFor}` : ''}`,
        this.spec.name,
      );
      this.#state = state;
      this.#stateSince = performance.now();
    }
    for (const wake of this.#waiters.splice(0)) wake();
    this.#context.changed();
  }

  #lastLines(count: number): string[] {
    const entry = this.#context.journal.process(this.spec.name);
    return lastLines(this.#logFile, count, entry.logOffset);
  }

  get #logFile(): string {
    return processLog(this.#context.paths, this.spec.name);
  }

  #runDir(incarnation: number): string {
    return path.join(this.#context.paths.runs, this.spec.name, String(incarnation));
  }

  /** Keeps the folders of the last few incarnations, for whoever looks into a crash. */
  #prune(incarnation: number): void {
    const folder = path.join(this.#context.paths.runs, this.spec.name);
    for (const entry of readdirSync(folder)) {
      if (Number(entry) < incarnation - 3) rmSync(path.join(folder, entry), { recursive: true, force: true });
    }
  }
}
