import type { ProcessSpec } from '../plan/launch-plan.ts';
import { resolveEnvValue } from './reservations.ts';

/** The agent's own environment, then the process's, secrets read from where they are named. Without the run id. */
export function processEnvironment(spec: ProcessSpec, deploymentDir: string): NodeJS.ProcessEnv {
  const { DYNAMO_CRASH_AT: _, DYNAMO_SHIM_STAGE: __, ...inherited } = process.env;
  const own = Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, resolveEnvValue(value)]));
  return { ...inherited, ...own, DYNAMO_DEPLOYMENT_DIR: deploymentDir };
}
