import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { recordsLeft } from '../discovery/records-left.ts';
import { type HostEntry, LOCAL_HOST } from '../hosts/host-entry.ts';
import { hostPlaces } from '../hosts/host-places.ts';
import { findLeftovers, type LeftoverWishes } from '../hosts/leftovers.ts';
import { openTransport } from '../hosts/open-transport.ts';
import { LOCK_PARENTS } from '../hosts/shared-places.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';

/** How long what is ending may take. */
const SETTLE_MS = 10_000;
const BETWEEN_MS = 500;

export interface StoppedDeployment {
  plan: LaunchPlan;
  /** Its state folder on this machine. */
  dir: string;
  /** As the hosts file has them. */
  hosts: readonly HostEntry[];
  env: NodeJS.ProcessEnv;
}

/**
 * Looks at every host of a stopped deployment, this machine included, and into its store. Throws with all that is left, by host, also
 * when a host or the store cannot be asked.
 */
export async function nothingLeft(stopped: StoppedDeployment): Promise<void> {
  const used = stopped.plan.hosts.map(
    (name) => stopped.hosts.find((entry) => entry.name === name) ?? { ...LOCAL_HOST, name },
  );
  // The controller ran here, whatever else did.
  const hosts = used.some((entry) => entry.local) ? used : [LOCAL_HOST, ...used];
  const found = await Promise.all([
    ...hosts.map((entry) => inPeace(`${entry.name}: `, () => lookAt(entry, stopped))),
    inPeace('the discovery store: ', () => recordsInStore(stopped)),
  ]);
  const left = found.flat();
  if (left.length > 0) throw new Error(`left behind: ${left.join('; ')}`);
}

async function inPeace(prefix: string, look: () => Promise<string[]>): Promise<string[]> {
  try {
    return (await look()).map((text) => `${prefix}${text}`);
  } catch (error) {
    return [`${prefix}${messageOf(error)}`];
  }
}

async function lookAt(entry: HostEntry, stopped: StoppedDeployment): Promise<string[]> {
  await using transport = await openTransport(entry);
  const wishes = wishesFor(entry, stopped);
  let left: string[] = [];
  const look = async () => {
    left = await findLeftovers(transport, wishes);
    return left.length === 0 ? true : undefined;
  };
  await until(look, { deadlineMs: SETTLE_MS, intervalMs: BETWEEN_MS });
  return left;
}

function wishesFor(entry: HostEntry, { plan, dir, env }: StoppedDeployment): LeftoverWishes {
  const { deployment, discovery } = plan;
  const place = entry.local ? dir : path.posix.join(hostPlaces(entry, '~').stateDir, 'deployments', deployment);
  const records = discovery.backend === 'file' ? (discovery.root ?? path.posix.join(place, 'discovery')) : undefined;
  const named = entry.local ? env['DYNAMO_LOCK_DIR'] : entry.env['DYNAMO_LOCK_DIR'];
  return {
    deployment,
    dir: place,
    sockets: [`agents/${entry.name}/agent.sock`, ...(entry.local ? ['controller.sock'] : [])],
    records: records === undefined ? undefined : path.posix.join(records, deployment),
    lockDirs: typeof named === 'string' ? [named] : LOCK_PARENTS,
  };
}

/** Files are looked for on the hosts; a store that the deployment ran itself has gone with it. */
async function recordsInStore({ plan: { discovery, deployment } }: StoppedDeployment): Promise<string[]> {
  if (discovery.backend === 'file' || discovery.managed) return [];
  const keys = await recordsLeft(discovery, deployment);
  return keys.map((key) => `key ${key}`);
}
