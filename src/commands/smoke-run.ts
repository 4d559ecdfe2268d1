import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { formatDuration } from '../base/duration.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { readRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot, PhaseSnapshot } from '../deployment/snapshot.ts';
import { startDeployment, stopDeployment } from '../deployment/start-deployment.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { planHash } from '../plan/plan-hash.ts';
import { type CheckOutcome, toJunit } from '../smoke/junit.ts';
import { smokeChecks } from '../smoke/smoke-checks.ts';
import { processesWithEnv } from '../supervise/identity.ts';
import { type PreparedLaunch, prepareLaunch } from './plan-recipe.ts';
import type { SmokeFlags } from './smoke.ts';
import { describePhases } from './status-text.ts';

/**
 * `dynamo smoke`: a whole life of a deployment, each part a check. Throws what made the start fail, or `CHECK_FAILED`;
 * the JUnit file is written in every case.
 */
export async function runSmoke(recipe: string, flags: SmokeFlags): Promise<void> {
  const name = flags.name ?? `smoke-${randomBytes(4).toString('hex')}`;
  // Free ports, so that it runs beside a deployment of the same recipe.
  const prepared = await prepareLaunch({
    ...flags,
    recipe,
    name,
    set: [...(flags.set ?? []), 'frontend.port=auto'],
    env: process.env,
    cwd: process.cwd(),
  });
  const report = new Report(flags.json ?? false);
  const ended = new AbortController();
  const interrupt = () => ended.abort(new DynamoError('START_STOPPED', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  let failure: unknown;
  try {
    const snapshot = await report.check('starts and is ready', () => start(prepared, ended.signal));
    report.noteStart(snapshot);
    const context = { plan: prepared.plan, snapshot, signal: ended.signal };
    for (const check of smokeChecks(prepared.plan, snapshot.pairs)) {
      ended.signal.throwIfAborted();
      await report.check(check.name, () => check.run(context)).catch(() => {});
    }
  } catch (error) {
    failure = error;
  }
  await report.check('stops', () => stopDeployment(name, prepared.dir, { force: false })).catch(() => {});
  await report.check('leaves nothing', () => nothingIsLeft(prepared.dir)).catch(() => {});
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt);
  const suite = `dynamo smoke ${prepared.loaded.recipe.name}`;
  if (flags.junit) writeFileSync(flags.junit, toJunit(suite, report.outcomes, report.startPhases));
  report.print();
  if (report.failed === 0 && failure === undefined && !flags.keep)
    rmSync(prepared.dir, { recursive: true, force: true });
  if (failure !== undefined) throw failure;
  if (report.failed > 0) {
    throw new DynamoError('CHECK_FAILED', `${report.failed} of ${report.outcomes.length} checks failed`, {
      hint: `State and logs are kept in ${prepared.dir}`,
    });
  }
}

class Report {
  readonly outcomes: CheckOutcome[] = [];
  /** What the start of each process took. */
  startPhases: { process: string; phases: PhaseSnapshot[] }[] = [];
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  get failed(): number {
    return this.outcomes.filter((outcome) => outcome.failure !== null).length;
  }

  /** Runs and records one check; a failure is recorded and rethrown. */
  async check<T>(name: string, action: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const record = (failure: string | null) => {
      const outcome = { name, tookMs: performance.now() - began, failure };
      this.outcomes.push(outcome);
      if (!this.#json)
        process.stdout.write(
          `${failure === null ? 'ok  ' : 'FAIL'}  ${name} (${formatDuration(outcome.tookMs)})${failure === null ? '' : `\n      ${failure}`}\n`,
        );
    };
    try {
      const value = await action();
      record(null);
      return value;
    } catch (error) {
      record(messageOf(error));
      throw error;
    }
  }

  noteStart({ processes }: DeploymentSnapshot): void {
    this.startPhases = processes.map(({ name, startPhases }) => ({ process: name, phases: startPhases }));
    for (const { process: name, phases } of this.startPhases) {
      const text = describePhases(phases);
      if (text && !this.#json) process.stdout.write(`      ${name} took ${text}\n`);
    }
  }

  print(): void {
    const passed = this.outcomes.length - this.failed;
    const { outcomes: checks, startPhases, failed } = this;
    if (this.#json) process.stdout.write(`${JSON.stringify({ passed, failed, checks, startPhases }, null, 2)}\n`);
    else process.stdout.write(`${passed} checks passed, ${this.failed} failed\n`);
  }
}

/** Tied to this command: when CI kills it, the controller stops everything by itself. */
async function start(prepared: PreparedLaunch, signal: AbortSignal): Promise<DeploymentSnapshot> {
  const { plan, loaded, dir, recipeHash, recipeText } = prepared;
  let latest: DeploymentSnapshot | undefined;
  const { peer, hello } = await startDeployment({
    request: {
      deployment: plan.deployment,
      dir,
      recipeFile: loaded.file,
      recipeHash,
      recipeText,
      planHash: planHash(plan),
      plan,
      ephemeral: true,
    },
    replace: false,
    prepare: (connected) =>
      connected.on('snapshot', (snapshot) => {
        latest = snapshot;
      }),
    preflight: () => {},
    onNote: () => {},
  });
  latest ??= hello.snapshot;
  for (;;) {
    if (latest.state === 'ready') return latest;
    const error = latest.error ?? (peer.open ? null : (readRecord(deploymentPaths(dir).record)?.error ?? null));
    if (error) throw DynamoError.from(error);
    if (!peer.open) throw new DynamoError('START_LOST', 'the controller ended during the start');
    const seen: DeploymentSnapshot = latest;
    await until(() => (latest !== seen || !peer.open ? true : undefined), {
      deadlineMs: 1_000,
      intervalMs: 20,
      signal,
    });
  }
}

async function nothingIsLeft(dir: string): Promise<void> {
  let left: number[] = [];
  const gone = await until(
    () => {
      left = processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (value) => value === dir);
      return left.length === 0 ? true : undefined;
    },
    { deadlineMs: 5_000 },
  );
  if (!gone) throw new Error(`processes are left: ${left.join(', ')}`);
}
