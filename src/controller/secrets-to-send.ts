import { readFileSync } from 'node:fs';
import type { DeploymentRecord } from '../deployment/record.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import type { SentSecrets } from '../supervise/protocol.ts';

/**
 * Secrets that the processes of a host, and those a change adds there, name and that are found on this machine. What is not found here is left out: the agent
 * then looks on its own host, and says what is missing.
 */
export function secretsToSend(
  { plan, change }: { plan: Pick<LaunchPlan, 'processes' | 'discovery'>; change?: DeploymentRecord['change'] },
  host: string,
  env: NodeJS.ProcessEnv = process.env,
): SentSecrets {
  const found: SentSecrets = {};
  const { discovery } = plan;
  const processes = [...plan.processes, ...(change?.added ?? [])];
  const named = processes.filter((process) => process.host === host).flatMap((spec) => Object.values(spec.env));
  if (discovery.backend === 'etcd' && discovery.passwordFrom) named.push(discovery.passwordFrom);
  for (const value of named) {
    if (typeof value === 'string') continue;
    if ('fromEnv' in value) {
      const text = env[value.fromEnv];
      if (text) found[`env:${value.fromEnv}`] = text;
    } else {
      try {
        found[`file:${value.fromFile}`] = readFileSync(value.fromFile, 'utf8').trim();
      } catch {
        // it may be a file of the host
      }
    }
  }
  return found;
}
