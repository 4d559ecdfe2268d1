import { formatDuration } from '../base/duration.ts';
import { DynamoError } from '../base/errors.ts';
import { benchAction } from '../bench/bench-action.ts';
import type { BenchFlags } from '../bench/bench-options.ts';
import { applyAliases, readBenchOptions } from '../bench/bench-options.ts';
import { findEndpoint } from '../deployment/local-view.ts';
import { stopDeployment } from '../deployment/start-deployment.ts';
import { listDeploymentNames } from '../deployment/state-dir.ts';
import { listBuiltInRecipes } from '../recipe/find-recipe.ts';
import { forgetEphemeral } from './forget-ephemeral.ts';
import { prepareEphemeral, serveEphemeral } from './serve-ephemeral.ts';

export interface BenchCommandFlags extends BenchFlags {
  set?: string[];
  hosts?: string;
  nodeArchive?: string;
  keep?: boolean;
}

/** `dynamo bench`: a URL stands for itself, a file or the name of a recipe that does not run is served for the measurement. */
export async function runBenchCommand(target: string, flags: BenchCommandFlags): Promise<void> {
  readBenchOptions(applyAliases(flags)); // before anything is started
  if (isRecipe(target)) {
    await benchRecipe(target, flags);
    return;
  }
  if (flags.set !== undefined || flags.hosts !== undefined || flags.nodeArchive !== undefined || flags.keep)
    throw new DynamoError(
      'USAGE',
      '--set, --hosts, --node-archive and --keep are for recipes that are served for the measurement',
      {
        hint: `Name a recipe file instead of ${target}.`,
      },
    );
  await benchAction(/^https?:\/\//i.test(target) ? target : findEndpoint(target), flags);
}

/** A known deployment comes first, so that a name never means two things at once. */
function isRecipe(target: string): boolean {
  if (/^https?:\/\//i.test(target)) return false;
  if (/\.ya?ml$/.test(target) || target.includes('/')) return true;
  return !listDeploymentNames().includes(target) && listBuiltInRecipes().some(({ name }) => name === target);
}

/** Serves, measures, stops. State and logs stay when something failed, or when asked. */
async function benchRecipe(recipe: string, flags: BenchCommandFlags): Promise<void> {
  const launch = await prepareEphemeral('bench', recipe, {
    ...(flags.set !== undefined && { set: flags.set }),
    ...(flags.hosts !== undefined && { hosts: flags.hosts }),
    ...(flags.nodeArchive !== undefined && { nodeArchive: flags.nodeArchive }),
  });
  const { plan, dir, loaded } = launch.prepared;
  const name = plan.deployment;
  const say = (text: string): void => {
    process.stderr.write(`${text}\n`);
  };
  say(`serving ${loaded.file} as ${name}: ${plan.processes.length} processes`);
  for (const warning of plan.warnings) say(`warning: ${warning}`);
  let isFine = false;
  try {
    const began = performance.now();
    const { endpoint } = await untilInterrupted((signal) => serveEphemeral(launch, signal));
    say(`ready in ${formatDuration(performance.now() - began)}: ${endpoint}/v1`);
    await benchAction(endpoint, flags);
    isFine = (process.exitCode ?? 0) === 0;
  } finally {
    await stopDeployment(name, dir, { force: false });
    say(`${name} is stopped; nothing is left`);
    if (isFine && !flags.keep) await forgetEphemeral(launch.prepared, say);
    else say(`state and logs are kept: dynamo logs ${name}`);
  }
}

/** The first SIGINT or SIGTERM ends the wait; while the benchmark runs, they are its own. */
async function untilInterrupted<T>(wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const interrupt = (): void => ended.abort(new DynamoError('START_STOPPED', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  try {
    return await wait(ended.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupt);
  }
}
