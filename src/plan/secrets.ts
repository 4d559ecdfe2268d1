import { looksSecret } from '../recipe/secret-names.ts';
import type { EnvValue, LaunchPlan } from './launch-plan.ts';

/** An environment value as it may be shown: where a secret comes from, never what it is. */
export function maskEnvValue(name: string, value: EnvValue): string {
  if (typeof value !== 'string')
    return 'fromEnv' in value ? `<from env ${value.fromEnv}>` : `<from file ${value.fromFile}>`;
  return looksSecret(name) && value !== '' ? '<hidden>' : value;
}

/** As the plan is printed: literal values that look like secrets hidden, references as they are. */
export function maskEnv(env: Readonly<Record<string, EnvValue>>): Record<string, EnvValue> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, typeof value === 'string' ? maskEnvValue(name, value) : value]),
  );
}

/** Variables that the plan takes secrets from but `env` does not have, each once. */
export function missingSecrets(plan: LaunchPlan, env: NodeJS.ProcessEnv): string[] {
  const wanted = plan.processes.flatMap((spec) =>
    Object.values(spec.env).flatMap((value) =>
      typeof value === 'object' && 'fromEnv' in value ? [value.fromEnv] : [],
    ),
  );
  const { discovery } = plan;
  if (discovery.backend === 'etcd' && discovery.passwordFrom && 'fromEnv' in discovery.passwordFrom)
    wanted.push(discovery.passwordFrom.fromEnv);
  return [...new Set(wanted)].filter((name) => env[name] === undefined);
}
