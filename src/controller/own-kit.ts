import path from 'node:path';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { PlanInput } from '../plan/plan-launch.ts';

/**
 * What a plan says of hosts elsewhere, with the kit that this controller brings there: what it goes by may have been written by
 * a dynamo of another release, in whose kit nothing new can be started.
 */
export async function withOwnKit(
  setups: PlanInput['hosts'],
  entries: readonly HostEntry[],
): Promise<NonNullable<PlanInput['hosts']>> {
  const elsewhere = new Set(entries.filter(({ local }) => !local).map(({ name }) => name));
  if (!setups || !Object.keys(setups).some((host) => elsewhere.has(host))) return setups ?? {};
  // Loaded only where there are such hosts.
  const { findKit } = await import('../hosts/kit/find-kit.ts');
  const { id } = await findKit();
  return Object.fromEntries(
    Object.entries(setups).map(([host, setup]) => {
      const [program = '', ...rest] = setup.selfCommand;
      if (!elsewhere.has(host) || !path.posix.isAbsolute(program)) return [host, setup];
      const kits = path.posix.dirname(path.posix.dirname(program));
      return [host, { ...setup, selfCommand: [path.posix.join(kits, id, path.posix.basename(program)), ...rest] }];
    }),
  );
}
