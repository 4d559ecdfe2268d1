import { rmSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { placesOn } from '../deployment/places-on.ts';
import { removeRemains } from '../hosts/clean-host.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { openTransport } from '../hosts/open-transport.ts';
import type { PreparedLaunch } from './plan-recipe.ts';

/**
 * Removes the state and logs of a deployment that is stopped, here and on its other hosts; kits stay for the next one. `say` is told of
 * what could not be removed.
 */
export async function forgetEphemeral(
  { plan, dir, hosts }: Pick<PreparedLaunch, 'plan' | 'dir' | 'hosts'>,
  say: (text: string) => void,
): Promise<void> {
  rmSync(dir, { recursive: true, force: true });
  const elsewhere = (hosts ?? []).filter((entry) => !entry.local && plan.hosts.includes(entry.name));
  await Promise.all(
    elsewhere.map(async (entry) => {
      const problem = await forgetOn(entry, plan.deployment).catch(messageOf);
      if (problem) say(`state of ${plan.deployment} stays on ${entry.name}: ${problem}`);
    }),
  );
}

async function forgetOn(entry: HostEntry, name: string): Promise<string | undefined> {
  await using transport = await openTransport(entry);
  const places = await placesOn(entry, transport);
  const folder = path.posix.join(places.stateDir, 'deployments', name);
  const { kept } = await removeRemains(transport, places, [
    { kind: 'deployment', name, path: folder, bytes: 0, keep: null },
  ]);
  return kept[0]?.reason;
}
