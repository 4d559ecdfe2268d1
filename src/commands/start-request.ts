import path from 'node:path';
import { planHash } from '../plan/plan-hash.ts';
import type { StartRequest } from '../supervise/protocol.ts';
import type { PreparedLaunch } from './plan-recipe.ts';

/** What a controller is asked to start, from what was planned; with the other hosts of the plan, as the hosts file has them. */
export function startRequest(
  { plan, planInput, hosts, loaded, dir, recipeHash, recipeText }: PreparedLaunch,
  options: { ephemeral: boolean; nodeArchive?: string | undefined },
): StartRequest {
  const elsewhere = hosts?.filter((entry) => !entry.local) ?? [];
  const others = elsewhere.filter((entry) => plan.hosts.includes(entry.name));
  const spare = elsewhere.filter((entry) => !plan.hosts.includes(entry.name));
  return {
    ...{ deployment: plan.deployment, dir, recipeFile: loaded.file, recipeHash, recipeText },
    ...{ planHash: planHash(plan), plan, planInput, ephemeral: options.ephemeral },
    ...(others.length > 0 && { hosts: others }),
    ...(spare.length > 0 && { spareHosts: spare }),
    ...(options.nodeArchive !== undefined && { nodeArchive: path.resolve(options.nodeArchive) }),
  };
}
