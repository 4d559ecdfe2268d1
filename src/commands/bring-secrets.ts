import { secretsToSend } from '../controller/secrets-to-send.ts';
import type { ControllerPeer } from '../deployment/controller-client.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';

/**
 * Hands the secrets that a plan names and this command has to the controller that runs already: after controller and agents died
 * together it may have been started where they were not set.
 */
export async function bringSecrets(peer: ControllerPeer, plan: LaunchPlan): Promise<void> {
  const secrets = Object.assign({}, ...plan.hosts.map((host) => secretsToSend({ plan }, host)));
  if (Object.keys(secrets).length === 0) return;
  // A controller of an earlier release does not know what that is.
  await peer.request('secrets', { secrets }).catch(() => {});
}
