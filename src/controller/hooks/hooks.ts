import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { aborted } from '../../base/abort.ts';
import type { DeploymentRecord } from '../../deployment/record.ts';
import type { ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { DeploymentPaths } from '../../deployment/state-dir.ts';
import type { HookEvent } from '../../plan/launch-plan.ts';
import { describeCommand } from '../../plan/plan-hooks.ts';
import type { EventLog } from '../../supervise/event-log.ts';
import { isAlive, ownIdentity } from '../../supervise/identity.ts';
import { killRun } from '../../supervise/shim-process.ts';
import { hookEnvironment } from './hook-environment.ts';
import { HookLedger } from './hook-ledger.ts';
import { runHook } from './run-hook.ts';

/** Longest wait for a hook of a controller that died to be gone. */
const SWEEP_MS = 2_000;

export interface HooksContext {
  paths: DeploymentPaths;
  record(): DeploymentRecord;
  events: EventLog;
  env: NodeJS.ProcessEnv;
}

/**
 * Runs the hooks of the recipe, each once for what it tells of, also when controllers die in between; the only owner of
 * `hooks.json`. Nothing waits for them but a stop for `onStop`, and that no longer than its deadline.
 *
 *   onReady     a generation is ready
 *   onFailure   its start failed, or processes have failed for good; what fails during a run is told by the next one
 *   onStop      it is being stopped after it was ready
 */
export class Hooks {
  readonly #context: HooksContext;
  readonly #ledger: HookLedger;
  readonly #under: Set<Promise<void>> = new Set();
  readonly #hurry = new AbortController();
  #telling = false;
  #latest: readonly ProcessSnapshot[] = [];

  constructor(context: HooksContext) {
    this.#context = context;
    this.#ledger = new HookLedger(path.join(context.paths.dir, 'hooks.json'), (problem) =>
      context.events.write('hook', problem),
    );
  }

  /** Ends what a controller that died left running. */
  async cleanUp(): Promise<void> {
    const orphans = this.#ledger.state.running.filter(({ by }) => !isAlive(by));
    if (orphans.length === 0) return;
    for (const { event, runId } of orphans) {
      await killRun({ runId }, SWEEP_MS);
      this.#context.events.write('hook', `${event}: its controller died; whether it came to its end is not known`);
    }
    this.#ledger.change({ running: this.#ledger.state.running.filter((entry) => !orphans.includes(entry)) });
  }

  /** The generation is ready. Does nothing when that was told before. */
  ready(): void {
    const { generation } = this.#context.record();
    if (this.#ledger.state.ready === generation) return;
    this.#ledger.change({ ready: generation, failed: [] });
    void this.#run('onReady', `generation ${generation} is ready`);
  }

  /** The start has failed. */
  startFailed(reason: string): void {
    void this.#run('onFailure', reason);
  }

  /** Something has changed: tells of processes that failed for good since it was last told. */
  look(processes: readonly ProcessSnapshot[]): void {
    const { plan, phase, change } = this.#context.record();
    if (!plan.hooks?.onFailure || phase !== 'committed') return;
    const coming = new Set(change?.added.map(({ name }) => name));
    const failed = processes.filter(({ name, state }) => state === 'failed' && !coming.has(name));
    const known = new Set(processes.map(({ name }) => name));
    const told = this.#ledger.state.failed;
    const fresh = failed.filter((entry) => !told.includes(keyOf(entry)));
    this.#latest = processes;
    if (this.#telling || fresh.length === 0) return;
    this.#telling = true;
    // Those of a host that does not answer now are remembered.
    this.#ledger.change({ failed: [...told.filter((key) => !known.has(key.split('#')[0]!)), ...failed.map(keyOf)] });
    const reason = fresh.map(({ name, lastExit }) => `${name}: ${lastExit?.reason ?? 'it has failed'}`).join('; ');
    void this.#run('onFailure', reason).finally(() => {
      this.#telling = false;
      this.look(this.#latest);
    });
  }

  /** Resolves when `onStop` has ended, at most its deadline later. `force` waits for nothing. */
  async stopping(force: boolean): Promise<void> {
    const { generation } = this.#context.record();
    const { ready, stopped } = this.#ledger.state;
    if (ready !== generation || stopped === generation) return;
    this.#ledger.change({ stopped: generation });
    const done = this.#run('onStop', force ? 'stopped at once' : 'stopped');
    if (!force) await Promise.race([done, aborted(this.#hurry.signal)]);
  }

  /** A stop waits no longer; the hook itself has its time. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Resolves when none runs any more. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under);
  }

  #run(event: HookEvent, reason: string): Promise<void> {
    const run = this.#runOne(event, reason).finally(() => this.#under.delete(run));
    this.#under.add(run);
    return run;
  }

  async #runOne(event: HookEvent, reason: string): Promise<void> {
    const { paths, events, env } = this.#context;
    const { plan, recipeFile } = this.#context.record();
    const hook = plan.hooks?.[event];
    if (!hook) return;
    const runId = randomUUID();
    const { running } = this.#ledger.state;
    this.#ledger.change({ running: [...running, { event, runId, by: ownIdentity('controller') }] });
    events.write('hook', `${event}: running ${describeCommand(hook.argv)}`);
    const how = await runHook({
      ...{ hook, runId, title: event },
      env: hookEnvironment(plan, event, { hook, reason, dir: paths.dir, base: env }),
      cwd: path.dirname(recipeFile),
      logFile: path.join(path.dirname(paths.controllerLog), 'hooks.log'),
    });
    events.write('hook', `${event}: ${how}`);
    this.#ledger.change({ running: this.#ledger.state.running.filter((entry) => entry.runId !== runId) });
  }
}

/** By its end: a process that is started again may have its next number while it still shows as failed. */
const keyOf = ({ name, generation, lastExit }: ProcessSnapshot): string => `${name}#${lastExit?.at ?? generation}`;
