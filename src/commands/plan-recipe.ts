import { DynamoError } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { deploymentDir, deploymentPaths } from '../deployment/state-dir.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import { readFactsFile } from '../hosts/facts-file.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { collectLocalFacts } from '../hosts/local-facts.ts';
import { checkEngines } from '../plan/check-engines.ts';
import { knowModels } from '../plan/know-models.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { planHash, recipeHash } from '../plan/plan-hash.ts';
import { type PlanInput, planLaunch } from '../plan/plan-launch.ts';
import { maskPlan, renderPlan } from '../plan/render-plan.ts';
import { formatRecipe } from '../recipe/format-recipe.ts';
import { type LoadedRecipe, loadRecipe } from '../recipe/load-recipe.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { engineCommands } from './engine-commands.ts';
import { askHostsToPlan, hostsOfRecipe, setupsOf } from './plan-for-hosts.ts';

export interface PrepareArgs {
  /** Path or name of a recipe. */
  recipe: string;
  /** `path=value` overrides, in order. */
  set?: readonly string[] | undefined;
  /** Name of the deployment; the recipe's by default. */
  name?: string | undefined;
  /** Files that describe the machines to plan for; this machine by default. */
  facts?: readonly string[] | undefined;
  /** Hosts file; the recipe's `hosts`, else this machine, by default. */
  hosts?: string | undefined;
  env: NodeJS.ProcessEnv;
  cwd: string;
  takenPorts?: readonly number[];
  takenGpus?: readonly number[];
}

export interface PreparedLaunch {
  loaded: LoadedRecipe;
  plan: LaunchPlan;
  /** What the plan was made of. */
  planInput: PlanInput;
  /** Of every host planned for, also of those that got nothing to do. */
  facts: readonly HostFacts[];
  /** As the hosts file has them; undefined: this machine alone, or facts files. */
  hosts: readonly HostEntry[] | undefined;
  /** Folder of the deployment; nothing has been written there. */
  dir: string;
  /** For the deployment's record: tells whether a running deployment's recipe changed. */
  recipeHash: string;
  /** The recipe as YAML with bases, overrides and variables applied; literal secrets hidden. */
  recipeText: string;
}

/** Recipe → plan for this machine or a described one: what `plan` and `serve --dry-run` print and `serve` starts. */
export async function prepareLaunch(args: PrepareArgs): Promise<PreparedLaunch> {
  // Models of a described machine may lie there and not here.
  const { loaded, models } = await loadCheckedRecipe(args.recipe, {
    ...args,
    mustBeHere: args.facts === undefined && args.hosts === undefined,
  });
  const deployment = args.name ?? loaded.recipe.name;
  const dir = deploymentDir(deployment, args.env);
  const { facts, hosts, setups } = await factsToPlan(loaded.recipe, deployment, args);
  const planInput: PlanInput = {
    recipe: loaded.recipe,
    models,
    deployment,
    facts,
    ...(setups && { hosts: setups }),
    selfCommand: selfCommand(),
    discoveryRoot: deploymentPaths(dir).discovery,
    takenPorts: args.takenPorts ?? [],
    takenGpus: args.takenGpus ?? [],
  };
  const plan = planLaunch(planInput);
  return {
    loaded,
    plan,
    planInput,
    facts,
    hosts,
    dir,
    recipeHash: recipeHash(loaded.recipe),
    recipeText: formatRecipe(loaded.resolved),
  };
}

/**
 * Loads a recipe with the engines' and the models' rules among the others, so that all problems come at once and with their places.
 * `mustBeHere`: its workers run on this machine, so a model folder that is not here is a mistake.
 */
export async function loadCheckedRecipe(
  recipe: string,
  options: { set?: readonly string[] | undefined; env: NodeJS.ProcessEnv; cwd: string; mustBeHere?: boolean },
): Promise<{ loaded: LoadedRecipe; models: KnownModels }> {
  const { env, mustBeHere = false } = options;
  let models: KnownModels = {};
  const check = (checked: Recipe): RecipeIssue[] => {
    models = knowModels(checked, { env, mustBeHere: mustBeHere && checked.hosts === null });
    return checkEngines(checked, models).problems;
  };
  const loaded = await loadRecipe(recipe, { ...options, set: options.set ?? [], check });
  return { loaded, models };
}

/** What `dynamo plan` and `dynamo serve --dry-run` print, as wide as the terminal within reason. */
export function formatPlan(
  { loaded, plan, recipeHash }: PreparedLaunch,
  json: boolean,
  terminal: { isTTY?: boolean; columns?: number } = {},
): string {
  if (!json) return renderPlan(plan, terminal.isTTY ? Math.min(120, Math.max(60, terminal.columns ?? 80)) : 80);
  const { file: recipe, sources } = loaded;
  const shown = { schemaVersion: 1, recipe, sources, recipeHash, planHash: planHash(plan), plan: maskPlan(plan) };
  return `${JSON.stringify(shown, null, 2)}\n`;
}

/** Recorded facts, those of the hosts that a hosts file or the recipe names, or those of this machine. */
async function factsToPlan(
  recipe: Recipe,
  deployment: string,
  args: PrepareArgs,
): Promise<{ facts: HostFacts[]; hosts?: HostEntry[]; setups?: PlanInput['hosts'] }> {
  const recorded = args.facts && readFacts(args.facts);
  // A recipe that is planned for described machines need not be for those it names.
  const hosts = recorded && args.hosts === undefined ? undefined : hostsOfRecipe(recipe, args);
  if (!hosts) return { facts: recorded ?? [await localFacts()] };
  if (recorded) return { facts: recorded, hosts, setups: await setupsOf(hosts, recorded, deployment, args.env) };
  const facts = await askHostsToPlan(hosts, programs(), args.env);
  return { facts, hosts, setups: await setupsOf(hosts, facts, deployment, args.env) };
}

/** One file a host. Throws `USAGE` when two have the same name. */
function readFacts(files: readonly string[]): HostFacts[] {
  const facts = files.map(readFactsFile);
  const twice = facts.find(({ name }, index) => facts.findIndex((other) => other.name === name) < index);
  if (twice)
    throw new DynamoError('USAGE', `two of the facts files describe a host named ${twice.name}`, {
      hint: 'Give each its own `name`, and its own `address`.',
    });
  return facts;
}

function localFacts(): Promise<HostFacts> {
  return collectLocalFacts({ commands: programs() });
}

const programs = (): string[] => [...engineCommands(), 'etcd'];
