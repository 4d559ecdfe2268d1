import type { SentSecrets } from '../supervise/protocol.ts';

/** What the controller has sent of secrets. In memory only: neither journal nor log nor disk ever has them. */
const known = new Map<string, string>();

/** A controller that has fewer does not take away what an earlier one gave. */
export function rememberSecrets(secrets: SentSecrets = {}): void {
  for (const [place, value] of Object.entries(secrets)) known.set(place, value);
}

/** The secret at a place of the controller's machine, if it was sent. */
export function sentSecret(value: { fromEnv: string } | { fromFile: string }): string | undefined {
  return known.get('fromEnv' in value ? `env:${value.fromEnv}` : `file:${value.fromFile}`);
}
