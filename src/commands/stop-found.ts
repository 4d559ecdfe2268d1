import os from 'node:os';
import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { ownerName } from '../deployment/owner.ts';
import { readRecord } from '../deployment/record.ts';
import { restoreRecord } from '../deployment/restore-record.ts';
import { type FoundPart, type Search, searchHosts } from '../deployment/search-hosts.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import { processesWithEnv } from '../supervise/identity.ts';

const SWEEP_MS = 10_000;

/** What was found of a deployment that this machine does not know. */
export interface Found {
  /** Hosts that have a part in it. */
  hosts: string[];
  /** Hosts that could not be asked. */
  away: Search['away'];
  /** Processes of this machine that its lost folder had started, ended by now. */
  endedHere: number;
}

/**
 * Looks for a deployment on the hosts of a file where this machine has no record of it, or one that is over; writes the record anew from
 * what is found, so that it can be stopped like any other. Undefined when this machine knows it. Throws `USAGE` when another launcher
 * started it and `mayTakeOver` is not set, `DEPLOYMENT_BUSY` when several did.
 */
export async function findToStop(
  deployment: string,
  dir: string,
  options: { hosts: string; mayTakeOver: boolean; say(text: string): void },
): Promise<Found | undefined> {
  const known = readRecord(deploymentPaths(dir).record);
  if (known && known.phase !== 'stopped' && known.phase !== 'failed') return undefined;
  const { parts, away } = await searchHosts(
    loadHosts(options.hosts).filter((entry) => !entry.local),
    deployment,
  );
  if (parts.length > 0) {
    refuseOthers(deployment, parts, options.mayTakeOver);
    for (const part of parts) options.say(describe(deployment, part));
  }
  // Its controller would go on attending what is being stopped.
  const endedHere = known ? 0 : await endHere(dir);
  if (endedHere > 0) options.say(`this machine: ended ${endedHere} of the processes that a lost folder had started`);
  if (parts.length > 0) restoreRecord(deployment, dir, parts);
  return { hosts: parts.map(({ entry }) => entry.name), away, endedHere };
}

/** What could not be asked may run on. Throws `STOP_INCOMPLETE`. */
export function refuseAway(deployment: string, { away }: Pick<Found, 'away'>): void {
  if (away.length === 0) return;
  throw new DynamoError(
    'STOP_INCOMPLETE',
    `${away.map(({ name }) => name).join(', ')} could not be asked; what of ${deployment} runs there stays`,
    {
      details: away.map(({ error }) => error.message),
      hint: 'Run the same command again when it can be reached.',
    },
  );
}

function refuseOthers(deployment: string, parts: readonly FoundPart[], mayTakeOver: boolean): void {
  const owners = [...new Set(parts.map(({ owner }) => owner ?? 'somebody'))];
  if (owners.length > 1)
    throw new DynamoError('DEPLOYMENT_BUSY', `several deployments called ${deployment} run on these hosts`, {
      details: parts.map(({ entry, owner }) => `${entry.name}: started by ${ownerName(owner ?? 'somebody')}`),
      hint: 'Give a hosts file with the hosts of one of them.',
    });
  const starter = ownerName(owners[0]!);
  if (mayTakeOver || starter === `${os.userInfo().username}@${os.hostname()}`) return;
  throw new DynamoError('USAGE', `${deployment} was started by ${starter}, whose controller may attend it`, {
    details: parts.map((part) => describe(deployment, part)),
    hint: 'Stop it there with `dynamo stop`, or add --yes to stop it from here.',
  });
}

function describe(deployment: string, { entry, journal, owner }: FoundPart): string {
  const names = journal.processes.map(({ spec }) => spec.name).join(', ');
  const by = owner === null ? '' : `, started by ${ownerName(owner)}`;
  return `${entry.name}: ${deployment}, generation ${journal.generation}, ${journal.phase}${by}: ${names}`;
}

/** Ends what carries the folder in its environment. Throws `STOP_INCOMPLETE`. */
async function endHere(dir: string): Promise<number> {
  const living = () => processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (value) => value === dir);
  const ended = new Set<number>();
  const done = await until(
    () => {
      const pids = living();
      for (const pid of pids) {
        ended.add(pid);
        endProcess(pid);
      }
      return pids.length === 0 ? true : undefined;
    },
    { deadlineMs: SWEEP_MS, intervalMs: 50 },
  );
  if (!done) throw new DynamoError('STOP_INCOMPLETE', `could not be ended: ${living().join(', ')}`);
  return ended.size;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
