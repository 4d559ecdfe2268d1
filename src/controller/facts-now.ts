import { messageOf } from '../base/errors.ts';
import { isLoopback } from '../base/url-host.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import type { AgentLinks } from './agent-links.ts';

const FACTS_TIMEOUT_MS = 30_000;

export interface FactsNowOptions {
  plan: Pick<LaunchPlan, 'hosts' | 'discovery'>;
  links: AgentLinks;
  /** Hosts that are not this machine. */
  entries: readonly HostEntry[];
  /** Whether hosts without a part in the deployment are asked, too. */
  spares: boolean;
  /** Told why a host gets nothing new. */
  onLeftOut(host: string, why: string): void;
  signal: AbortSignal;
}

/**
 * What hosts are like now, of which it is known what they were like at the start. A host that cannot be asked, or that cannot take part, is
 * left out: it gets nothing new.
 */
export async function factsNow(
  known: readonly HostFacts[],
  { plan, links, entries, spares, onLeftOut, signal }: FactsNowOptions,
): Promise<HostFacts[]> {
  const isConnected = (host: string) => links.all.some((link) => link.host === host);
  const whyAlone = whyNoOthers(plan, known);
  const now = await Promise.all(
    known.map(async (before): Promise<HostFacts | undefined> => {
      const { name } = before;
      try {
        if (isConnected(name)) {
          const { gpus, listeningPorts, gpuUsers, gpuLocks } = await links
            .to(name)
            .request('facts', {}, FACTS_TIMEOUT_MS);
          return { ...before, gpus: before.gpus.length > 0 ? before.gpus : gpus, listeningPorts, gpuUsers, gpuLocks };
        }
        if (!spares) return undefined;
        if (whyAlone !== undefined) throw new Error(whyAlone);
        // SSH and what reads facts are loaded only where a host is asked.
        const { askSpareHost } = await import('./ask-spare-host.ts');
        return await askSpareHost(before, entries, signal);
      } catch (error) {
        signal.throwIfAborted();
        onLeftOut(name, messageOf(error));
        return undefined;
      }
    }),
  );
  return now.filter((entry) => entry !== undefined);
}

/** Why hosts that have no part in the deployment cannot get one; undefined when they can. Pure. */
export function whyNoOthers(
  { hosts, discovery }: Pick<LaunchPlan, 'hosts' | 'discovery'>,
  known: readonly Pick<HostFacts, 'name' | 'address'>[],
): string | undefined {
  const alone = known.find(({ name, address }) => hosts.includes(name) && isLoopback(address));
  if (alone) return `other hosts cannot reach what runs on ${alone.name} at ${alone.address}`;
  if (discovery.backend !== 'file' || discovery.root !== undefined || hosts.length > 1) return undefined;
  return `the records of this deployment lie in files of ${hosts.join(', ')}; with etcd, or a discovery.root that all hosts share, others could take part`;
}
