import { attempt } from '../base/attempt.ts';
import { readRecord } from '../deployment/record.ts';
import { deploymentDir, deploymentPaths, listDeploymentNames } from '../deployment/state-dir.ts';
import { TEMPLATES } from '../init/templates.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { listBuiltInRecipes } from '../recipe/find-recipe.ts';
import type { CompletionSources } from './complete-words.ts';

/** Looks on this machine. What cannot be read completes to nothing: a shell is no place for errors. */
export function localSources(env: NodeJS.ProcessEnv): CompletionSources {
  const plan = (deployment: string | undefined): LaunchPlan | undefined => {
    const names = deployment === undefined ? upNames(env) : [deployment];
    return names.length === 1 ? attempt(() => readPlan(names[0]!, env), undefined) : undefined;
  };
  return {
    recipes: () =>
      attempt(() => listBuiltInRecipes().map(({ name, description }) => ({ value: name, about: description })), []),
    templates: () => TEMPLATES.map(({ name, summary }) => ({ value: name, about: summary })),
    deployments: () =>
      attempt(() => listDeploymentNames(env).map((name) => ({ value: name, about: stateOf(name, env) })), []),
    processes: (deployment) =>
      (plan(deployment)?.processes ?? []).map(({ name, role }) => ({ value: name, about: role })),
    roles: (deployment) => {
      const found = plan(deployment);
      const names = (found?.processes ?? []).flatMap(({ role, model }) => {
        if (model === null) return [];
        return found && found.models.length > 1 ? [`${model}/${role}`] : [role];
      });
      return [...new Set(names)].map((value) => ({
        value,
        about: `${names.filter((each) => each === value).length} now`,
      }));
    },
  };
}

function readPlan(name: string, env: NodeJS.ProcessEnv): LaunchPlan | undefined {
  return readRecord(deploymentPaths(deploymentDir(name, env)).record)?.plan;
}

const upNames = (env: NodeJS.ProcessEnv): string[] =>
  attempt(() => listDeploymentNames(env), []).filter((name) => !['stopped', 'failed', ''].includes(stateOf(name, env)));

const stateOf = (name: string, env: NodeJS.ProcessEnv): string =>
  attempt(() => readRecord(deploymentPaths(deploymentDir(name, env)).record)?.phase ?? '', '');
