import type { ProcessSpec } from '../plan/launch-plan.ts';
import { readVariable } from '../supervise/identity.ts';
import type { SentSecrets } from '../supervise/protocol.ts';
import { type SecretPlace, secretKey } from '../supervise/secret-key.ts';

/** What the controller has sent of secrets. In memory only: neither journal nor log nor disk ever has them. */
const known = new Map<string, string>();

/** A controller that has fewer does not take away what an earlier one gave. */
export function rememberSecrets(secrets: SentSecrets = {}): void {
  for (const [place, value] of Object.entries(secrets)) known.set(place, value);
}

/** The secret at a place of the controller's machine, if it was sent. */
export function sentSecret(value: SecretPlace): string | undefined {
  return known.get(secretKey(value));
}

/** What processes were found to have that an agent before this one had started. In memory only, too. */
const recalled = new Map<string, string>();

/**
 * Reads the secrets of a process that lives from its own environment: an agent and a controller that died together have taken what they
 * knew with them. `pid`: its shim or its engine.
 */
export function recallSecrets(spec: Pick<ProcessSpec, 'env'>, pid: number): void {
  for (const [name, value] of Object.entries(spec.env)) {
    if (typeof value === 'string') continue;
    const text = readVariable(pid, name);
    if (text) recalled.set(secretKey(value), text);
  }
}

/** For a secret that is at its place no more. */
export function recalledSecret(value: SecretPlace): string | undefined {
  return recalled.get(secretKey(value));
}
