import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { DynamoError } from '../../src/base/errors.ts';
import { type HostFacts, hostFactsSchema } from '../../src/hosts/host-facts.ts';
import { checkEngines } from '../../src/plan/check-engines.ts';
import type { LaunchPlan } from '../../src/plan/launch-plan.ts';
import { type PlanInput, planLaunch } from '../../src/plan/plan-launch.ts';
import { type LoadedRecipe, loadRecipe } from '../../src/recipe/load-recipe.ts';

export interface LoadCase {
  /** Files by name; `recipe.yaml` is loaded. */
  files: Record<string, string>;
  set?: string[];
  env?: NodeJS.ProcessEnv;
}

/** Writes the files to a folder of their own and loads `recipe.yaml` with the engines' rules, as the commands do. */
export async function loadText(given: string | LoadCase): Promise<LoadedRecipe> {
  const { files, set = [], env = {} } = typeof given === 'string' ? { files: { 'recipe.yaml': given } } : given;
  const cwd = mkdtempSync(path.join(os.tmpdir(), 'dynamo-recipe-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(cwd, name), text);
  return loadRecipe('recipe.yaml', { set, env, cwd, check: (recipe) => checkEngines(recipe).problems });
}

/** The problems of a recipe that must not load, one string a problem without its excerpt. */
export async function problemsOf(given: string | LoadCase): Promise<string[]> {
  const error = await loadText(given).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DynamoError)) throw new Error('expected a DynamoError', { cause: error });
  if (error.code !== 'RECIPE_INVALID') throw error;
  return error.details.filter((line) => !/^ *\d* \| /.test(line));
}

/** Facts of a recorded machine in test/fixtures/facts. */
export function recordedFacts(name: string, change: Partial<HostFacts> = {}): HostFacts {
  const file = path.join(import.meta.dirname, '../fixtures/facts', `${name}.json`);
  return { ...hostFactsSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), ...change };
}

/** Facts of the hosts that a recipe which comes with dynamo is recorded on: one with 8 H100 unless it needs more. */
export function hostsOf(recipe: string): HostFacts[] {
  return (HOSTS[recipe] ?? ['8xh100']).map((name) => recordedFacts(name));
}

const TWO = ['h100-1', 'h100-2'];
const FOUR = [...TWO, 'h100-3', 'h100-4'];
const HOSTS: Readonly<Record<string, string[]>> = {
  'llama-3.3-70b-fp8-2hosts': TWO,
  'qwen3-32b-6p2d': TWO,
  'deepseek-r1-sglang-4hosts': FOUR,
  'deepseek-r1-vllm-wide-ep': FOUR,
  'llama-3.3-70b-fp8-h100-h200': ['h100-1', 'h200-1'],
};

/** A plan with every path fixed, so that it is the same everywhere. */
export async function planText(
  given: string | LoadCase,
  facts: HostFacts | readonly HostFacts[] = recordedFacts('no-gpu'),
  change: Partial<PlanInput> = {},
): Promise<LaunchPlan> {
  const { recipe } = await loadText(given);
  return planLaunch({
    recipe,
    deployment: recipe.name,
    facts: [facts].flat(),
    selfCommand: ['dynamo'],
    discoveryRoot: `/state/${recipe.name}/discovery`,
    ...change,
  });
}
