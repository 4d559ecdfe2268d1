import { randomBytes } from 'node:crypto';
import { DynamoError } from '../base/errors.ts';
import { SharedFolder } from '../discovery/shared-folder.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import type { AgentLink } from './agent-link.ts';

const CONTROLLER = 'controller';

/**
 * Several hosts that find each other through files must see the same files: every agent and this controller write a nonce and
 * look for those of the others. `root`: the folder as this machine sees it. Throws `DISCOVERY_NOT_SHARED`.
 */
export async function proveSharedFolder(
  plan: Pick<LaunchPlan, 'deployment' | 'discovery'>,
  links: readonly Pick<AgentLink, 'host' | 'request'>[],
  root: string,
  seenWithinMs?: number,
): Promise<void> {
  if (plan.discovery.backend !== 'file' || links.length < 2) return;
  const own = new SharedFolder(plan.discovery.root ?? root, plan.deployment, seenWithinMs);
  const nonces: Record<string, string> = { [CONTROLLER]: nonce() };
  for (const { host } of links) nonces[host] = nonce();
  try {
    await own.show(CONTROLLER, nonces[CONTROLLER]!);
    await Promise.all(links.map((link) => link.request('showNonce', { nonce: nonces[link.host]! })));
    const seen = await Promise.all([
      own.unseen(nonces).then((unseen) => ({ party: CONTROLLER, unseen })),
      ...links.map(async (link) => ({ party: link.host, ...(await link.request('unseenNonces', { nonces })) })),
    ]);
    const blind = seen.filter(({ unseen }) => unseen.length > 0);
    if (blind.length === 0) return;
    throw new DynamoError(
      'DISCOVERY_NOT_SHARED',
      `${links.length} hosts cannot find each other's workers: their discovery folder is not the same one`,
      {
        details: blind.map(({ party, unseen }) => `${party} does not see what ${unseen.join(', ')} wrote`),
      },
    );
  } finally {
    await Promise.all(Object.entries(nonces).map(([party, text]) => own.hide(party, text)));
  }
}

const nonce = (): string => randomBytes(8).toString('hex');
