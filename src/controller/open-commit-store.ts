import { createDiscovery } from '../discovery/create-discovery.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { discoveryBackend } from '../plan/plan-discovery.ts';
import type { OpenHost } from './agent-host.ts';
import type { CommitStore } from './commit-store.ts';
import { hostOfRecords, StoreElsewhere } from './store-elsewhere.ts';

export interface StorePlaces {
  hosts: readonly HostEntry[];
  openHost: OpenHost;
  /** Folder of the file backend on this machine. */
  root: string;
  mayBeAway: boolean;
}

/** The store of a plan as its controller uses it. Throws `DISCOVERY_UNREACHABLE`, unless it may be away. */
export async function openCommitStore(
  plan: Pick<LaunchPlan, 'deployment' | 'hosts' | 'discovery'>,
  { hosts, openHost, root, mayBeAway }: StorePlaces,
): Promise<CommitStore> {
  const elsewhere = hostOfRecords(plan, hosts);
  if (elsewhere !== undefined) return new StoreElsewhere(elsewhere, plan, openHost);
  const { deployment, discovery } = plan;
  return createDiscovery(discoveryBackend(discovery, root), { deployment, ttlMs: discovery.ttlMs, mayBeAway });
}
