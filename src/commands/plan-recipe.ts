import { DynamoError } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { readRecord } from '../deployment/record.ts';
import { deploymentDir, deploymentPaths } from '../deployment/state-dir.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import { readFactsFile } from '../hosts/facts-file.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { collectLocalFacts } from '../hosts/local-facts.ts';
import { sharesGpus } from '../hosts/shares-gpus.ts';
import { checkEngines } from '../plan/check-engines.ts';
import { type HeldGpus, heldGpus } from '../plan/held-gpus.ts';
import { knowModels } from '../plan/know-models.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { planHash, recipeHash } from '../plan/plan-hash.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import { maskPlan, renderPlan } from '../plan/render-plan.ts';
import { formatRecipe } from '../recipe/format-recipe.ts';
import { type LoadedRecipe, loadRecipe } from '../recipe/load-recipe.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { engineCommands } from './engine-commands.ts';
import { type Blocked, hostsAway, planAround } from './plan-around.ts';
import { askHostsToPlan, hostsOfRecipe, setupsOf, usableFacts } from './plan-for-hosts.ts';

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
  /** Ends the asking of hosts. */
  signal?: AbortSignal | undefined;
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

/** A plan, or what is in its way for the moment. */
export type LaunchLook = { prepared: PreparedLaunch } | { blocked: Blocked };

/**
 * Recipe → plan for this machine or a described one: what `plan` and `serve --dry-run` print and `serve` starts. Goes around GPUs that
 * others have at this moment.
 */
export async function prepareLaunch(args: PrepareArgs): Promise<PreparedLaunch> {
  return preparedOf(await lookToLaunch(args));
}

/** For whoever does not wait. Throws what is in the way. */
export function preparedOf(look: LaunchLook): PreparedLaunch {
  if ('blocked' in look) throw look.blocked.error;
  return look.prepared;
}

/** The same, for whoever can wait. Throws what waiting does not mend. */
export async function lookToLaunch(args: PrepareArgs): Promise<LaunchLook> {
  // Models of a described machine may lie there and not here.
  const { loaded, models } = await loadCheckedRecipe(args.recipe, {
    ...args,
    mustBeHere: args.facts === undefined && args.hosts === undefined,
  });
  const deployment = args.name ?? loaded.recipe.name;
  const dir = deploymentDir(deployment, args.env);
  const asked = await factsToPlan(loaded.recipe, deployment, args);
  if ('blocked' in asked) return asked;
  const { facts, hosts, setups } = asked;
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
  const found = planAround(planInput, heldBy({ facts, hosts, recipe: loaded.recipe, deployment, dir }, args));
  if ('blocked' in found) return found;
  const own = { recipeHash: recipeHash(loaded.recipe), recipeText: formatRecipe(loaded.resolved) };
  return { prepared: { loaded, plan: found.plan, planInput, facts, hosts, dir, ...own } };
}

/** Recorded facts tell of another moment, and what runs with this recipe has its GPUs. */
function heldBy(
  { facts, hosts, recipe, deployment, dir }: AskedFacts & { recipe: Recipe; deployment: string; dir: string },
  args: PrepareArgs,
): HeldGpus {
  if (args.facts) return {};
  const record = readRecord(deploymentPaths(dir).record);
  if (record?.phase === 'committed' && record.recipeHash === recipeHash(recipe)) return {};
  return heldGpus(facts, deployment, (host) => sharesGpus(host, hosts, args.env));
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
): Promise<AskedFacts | { blocked: Blocked }> {
  const recorded = args.facts && readFacts(args.facts);
  // A recipe that is planned for described machines need not be for those it names.
  const hosts = recorded && args.hosts === undefined ? undefined : hostsOfRecipe(recipe, args);
  if (!hosts) return { facts: recorded ?? [await localFacts()] };
  if (recorded) return { facts: recorded, hosts, setups: await setupsOf(hosts, recorded, deployment, args.env) };
  const reports = await askHostsToPlan(hosts, { commands: programs(), env: args.env, signal: args.signal });
  const away = hostsAway(reports);
  if (away) return { blocked: away };
  const facts = usableFacts(hosts, reports);
  return { facts, hosts, setups: await setupsOf(hosts, facts, deployment, args.env) };
}

interface AskedFacts {
  facts: HostFacts[];
  hosts?: HostEntry[] | undefined;
  setups?: PlanInput['hosts'];
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
