import { readFileSync } from 'node:fs';
import type { DeploymentRecord } from '../deployment/record.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { discoveryFiles } from '../plan/plan-discovery.ts';
import type { SentSecrets } from '../supervise/protocol.ts';
import { type SecretPlace, secretKey } from '../supervise/secret-key.ts';

/**
 * Secrets that the processes of a host, and those a change adds there, name and that are found on this machine. What is not found
 * here is left out: the agent then looks on its own host, and says what is missing.
 */
export function secretsToSend(
  deployment: NamingSecrets,
  host: string,
  env: NodeJS.ProcessEnv = process.env,
): SentSecrets {
  const found: SentSecrets = {};
  for (const value of placesNamed(deployment, host)) {
    if ('fromEnv' in value) {
      const text = env[value.fromEnv];
      if (text) found[secretKey(value)] = text;
    } else {
      try {
        found[secretKey(value)] = readFileSync(value.fromFile, 'utf8').trim();
      } catch {
        // it may be a file of the host
      }
    }
  }
  return found;
}

/** Of secrets that were brought those that the processes of a host name: nobody gets others. */
export function chooseSecrets(deployment: NamingSecrets, host: string, brought: SentSecrets): SentSecrets {
  return Object.fromEntries(
    placesNamed(deployment, host).flatMap((value) => {
      const key = secretKey(value);
      const text = brought[key];
      return text === undefined ? [] : [[key, text]];
    }),
  );
}

interface NamingSecrets {
  plan: Pick<LaunchPlan, 'processes' | 'discovery'>;
  change?: DeploymentRecord['change'];
}

function placesNamed({ plan, change }: NamingSecrets, host: string): SecretPlace[] {
  const { discovery } = plan;
  const processes = [...plan.processes, ...(change?.added ?? [])];
  const named = processes.filter((process) => process.host === host).flatMap((spec) => Object.values(spec.env));
  if (discovery.backend === 'etcd' && discovery.passwordFrom) named.push(discovery.passwordFrom);
  for (const fromFile of discoveryFiles(discovery)) named.push({ fromFile });
  return named.filter((value) => typeof value !== 'string');
}
