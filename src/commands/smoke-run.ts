import { writeFileSync } from 'node:fs';
import { formatDuration } from '../base/duration.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { DeploymentSnapshot, PhaseSnapshot, StepSnapshot } from '../deployment/snapshot.ts';
import { stopDeployment } from '../deployment/start-deployment.ts';
import { type CheckOutcome, toJunit } from '../smoke/junit.ts';
import { nothingLeft } from '../smoke/nothing-left.ts';
import { smokeChecks } from '../smoke/smoke-checks.ts';
import { forgetEphemeral } from './forget-ephemeral.ts';
import type { RecipeFlags } from './recipe-options.ts';
import { prepareEphemeral, serveEphemeral } from './serve-ephemeral.ts';
import { describeLongStart, describePhases } from './status-text.ts';

export interface SmokeFlags extends RecipeFlags {
  junit?: string;
  json?: boolean;
  keep?: boolean;
}

/**
 * `dynamo smoke`: a whole life of a deployment, each part a check. Throws what made the start fail, or `CHECK_FAILED`;
 * the JUnit file is written in every case.
 */
export async function runSmoke(recipe: string, flags: SmokeFlags): Promise<void> {
  const launch = await prepareEphemeral('smoke', recipe, flags);
  const { dir, loaded } = launch.prepared;
  const name = launch.prepared.plan.deployment;
  const report = new Report(flags.json ?? false);
  const ended = new AbortController();
  const interrupt = () => ended.abort(new DynamoError('START_STOPPED', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  let failure: unknown;
  try {
    const snapshot = await report.check('starts and is ready', () => serveEphemeral(launch, ended.signal));
    report.noteStart(snapshot);
    const { plan } = launch.prepared;
    const context = { plan, snapshot, signal: ended.signal };
    for (const check of smokeChecks(plan, snapshot.pairs)) {
      ended.signal.throwIfAborted();
      await report.check(check.name, () => check.run(context)).catch(() => {});
    }
  } catch (error) {
    failure = error;
  }
  await report.check('stops', () => stopDeployment(name, dir, { force: false })).catch(() => {});
  await report
    .check('leaves nothing', () =>
      nothingLeft({ plan: launch.prepared.plan, dir, hosts: launch.prepared.hosts ?? [], env: process.env }),
    )
    .catch(() => {});
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt);
  const suite = `dynamo smoke ${loaded.recipe.name}`;
  if (flags.junit) writeFileSync(flags.junit, toJunit(suite, report.outcomes, report.startPhases));
  report.print();
  if (report.failed === 0 && failure === undefined && !flags.keep)
    await forgetEphemeral(launch.prepared, (text) => void process.stderr.write(`${text}\n`));
  if (failure !== undefined) throw failure;
  if (report.failed > 0) {
    throw new DynamoError('CHECK_FAILED', `${report.failed} of ${report.outcomes.length} checks failed`, {
      hint: `State and logs are kept in ${dir}`,
    });
  }
}

class Report {
  readonly outcomes: CheckOutcome[] = [];
  /** What the start of each process took. */
  startPhases: { process: string; phases: PhaseSnapshot[] }[] = [];
  /** Where the time of the start as a whole went. */
  startSteps: StepSnapshot[] = [];
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

  noteStart({ processes, startSteps = [] }: DeploymentSnapshot): void {
    this.startSteps = startSteps;
    const path = describeLongStart(startSteps);
    if (path && !this.#json) process.stdout.write(`      the start took ${path}\n`);
    this.startPhases = processes.map(({ name, startPhases }) => ({ process: name, phases: startPhases }));
    for (const { process: name, phases } of this.startPhases) {
      const text = describePhases(phases);
      if (text && !this.#json) process.stdout.write(`      ${name} took ${text}\n`);
    }
  }

  print(): void {
    const passed = this.outcomes.length - this.failed;
    const { outcomes: checks, startPhases, startSteps, failed } = this;
    const report = { passed, failed, checks, startPhases, startSteps };
    if (this.#json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else process.stdout.write(`${passed} checks passed, ${this.failed} failed\n`);
  }
}
