import { DynamoError, messageOf } from '../base/errors.ts';
import type { EnvValue, ProcessSpec } from '../plan/launch-plan.ts';
import { resolveEnvValue } from './reservations.ts';

/**
 * The agent's own environment, then the process's, secrets read from where they are named. Without the run id. Throws `SECRET_MISSING`
 * with the variables and the command that brings them.
 */
export function processEnvironment(spec: ProcessSpec, deploymentDir: string): NodeJS.ProcessEnv {
  const { DYNAMO_CRASH_AT: _, DYNAMO_SHIM_STAGE: __, ...inherited } = process.env;
  const own: Record<string, string> = {};
  const missing: string[] = [];
  const places: SecretPlace[] = [];
  for (const [name, value] of Object.entries(spec.env)) {
    try {
      own[name] = resolveEnvValue(value);
    } catch (error) {
      missing.push(`${name} (${messageOf(error)})`);
      if (typeof value !== 'string') places.push(value);
    }
  }
  if (missing.length > 0)
    throw new DynamoError(
      'SECRET_MISSING',
      `${spec.name} needs ${missing.join(', ')}, and nobody who knew it lives any more. ${wayToBring(places)}`,
    );
  return { ...inherited, ...own, DYNAMO_DEPLOYMENT_DIR: deploymentDir };
}

type SecretPlace = Exclude<EnvValue, string>;

/** `Run \`HF_TOKEN=… dynamo serve RECIPE\` …`: what hands secrets to the controller that runs, and so to the agent. */
function wayToBring(places: readonly SecretPlace[]): string {
  const variables = [...new Set(places.flatMap((place) => ('fromEnv' in place ? [`${place.fromEnv}=…`] : [])))];
  const files = [...new Set(places.flatMap((place) => ('fromFile' in place ? [place.fromFile] : [])))];
  const command = [...variables, 'dynamo serve RECIPE'].join(' ');
  const where = files.length === 0 ? '' : `, where ${files.join(' and ')} can be read`;
  return `Run \`${command}\`${where}, with what else the deployment was started with: it hands the secrets over`;
}
