import os from 'node:os';
import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { deploymentDir, deploymentPaths, stateHome } from '../deployment/state-dir.ts';
import { FactsCache } from '../hosts/facts/facts-cache.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { hostPlaces } from '../hosts/host-places.ts';
import { hostProblems } from '../hosts/host-problems.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import { factsOfAll, type HostReport, inspectHosts } from '../hosts/inspect-hosts.ts';
import { findKit } from '../hosts/kit/find-kit.ts';
import { openTransport } from '../hosts/open-transport.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import type { Recipe } from '../recipe/recipe.ts';

export interface HostsArgs {
  /** `--hosts`: overrides what the recipe says. */
  hosts?: string | undefined;
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Hosts that a recipe or `--hosts` names; undefined for this machine alone. Throws `HOSTS_INVALID`. */
export function hostsOfRecipe(recipe: Recipe, { hosts, env, cwd }: HostsArgs): HostEntry[] | undefined {
  const named = hosts ?? recipe.hosts ?? undefined;
  return typeof named === 'string' ? loadHosts(named, { env, cwd }) : named;
}

/** What became of asking every host, all at once. */
export async function askHostsToPlan(
  entries: readonly HostEntry[],
  options: { commands: readonly string[]; env: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<HostReport[]> {
  const { commands, env, signal } = options;
  const cache = new FactsCache(path.join(stateHome(env), 'hosts'));
  return inspectHosts(entries, { open: openTransport, cache, commands, ...(signal && { signal }) });
}

/** Facts of hosts that have all answered. Throws `HOST_UNREACHABLE` for those that cannot be used all the same. */
export function usableFacts(entries: readonly HostEntry[], reports: readonly HostReport[]): HostFacts[] {
  const facts = factsOfAll(reports);
  refuseUnusable(entries, facts);
  return facts;
}

/** What planning must know of each host besides its facts. Facts without an entry have none. */
export async function setupsOf(
  entries: readonly HostEntry[],
  facts: readonly HostFacts[],
  deployment: string,
  env: NodeJS.ProcessEnv,
): Promise<NonNullable<PlanInput['hosts']>> {
  const kit = entries.some((entry) => !entry.local) ? (await findKit()).id : '';
  return Object.fromEntries(
    entries.flatMap((entry) => {
      const known = facts.find(({ name }) => name === entry.name);
      return known ? [[entry.name, setupOf(entry, known, kit, deployment, env)]] : [];
    }),
  );
}

function refuseUnusable(entries: readonly HostEntry[], facts: readonly HostFacts[]): void {
  const known = entries.map((entry, index) => ({ entry, facts: facts[index]! }));
  const errors = hostProblems(known).filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  throw new DynamoError(
    'HOST_UNREACHABLE',
    `${[...new Set(errors.flatMap(({ hosts }) => hosts))].join(', ')} cannot be used`,
    {
      details: errors.flatMap(({ hosts, message, hint }) => [`${hosts.join(', ')}: ${message}`, `  ${hint}`]),
      hint: '`dynamo hosts check` shows all of it.',
    },
  );
}

function setupOf(entry: HostEntry, facts: HostFacts, kit: string, deployment: string, env: NodeJS.ProcessEnv) {
  const common = {
    env: entry.env,
    labels: entry.labels,
    ...(entry.gpus && { gpus: entry.gpus }),
    ...(entry.nics && { nics: entry.nics }),
  };
  if (entry.local)
    return {
      ...common,
      selfCommand: selfCommand(),
      discoveryRoot: deploymentPaths(deploymentDir(deployment, env)).discovery,
    };
  const { stateDir, kitDir } = hostPlaces(entry, facts.home ?? os.homedir());
  return {
    ...common,
    // The program of the kit, which knows where Node is on that host.
    selfCommand: [path.posix.join(kitDir, kit, 'dynamo')],
    discoveryRoot: path.posix.join(stateDir, 'deployments', deployment, 'discovery'),
  };
}
