import { isDriverDaemon } from '../hosts/gpu-processes.ts';
import type { GpuUser, HostFacts } from '../hosts/host-facts.ts';

/** Why GPUs cannot be had now, by host and index: `held by demo (prefill-0)`. */
export type HeldGpus = Readonly<Record<string, Readonly<Record<number, string>>>>;

/**
 * GPUs that others have now: deployments by their locks, anybody else by what computes there. Those of `deployment` itself are its own:
 * whoever attaches to it, or replaces it, plans with them. `allowsStrangers`: of the hosts where GPUs are shared with anybody. Pure.
 */
export function heldGpus(
  facts: readonly HostFacts[],
  deployment: string,
  allowsStrangers: (host: string) => boolean,
): HeldGpus {
  return Object.fromEntries(
    facts.map((host) => [host.name, heldOn(host, deployment, allowsStrangers(host.name))] as const),
  );
}

function heldOn({ gpus, gpuLocks = [], gpuUsers = [] }: HostFacts, deployment: string, shares: boolean) {
  const held: Record<number, string> = {};
  for (const { index } of gpus) {
    const lock = gpuLocks.find(({ gpu }) => gpu === index);
    const strangers = shares ? [] : gpuUsers.filter((user) => user.gpu === index && isStranger(user));
    if (lock) {
      if (!lock.holder.startsWith(`${deployment} (`)) held[index] = `held by ${lock.holder}`;
    } else if (strangers.length > 0) held[index] = describeStrangers(strangers);
  }
  return held;
}

const isStranger = ({ ours, command }: GpuUser): boolean => !ours && !isDriverDaemon(command);

function describeStrangers([first, ...others]: readonly GpuUser[]): string {
  const { pid, user, command } = first!;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return `used by pid ${pid}${user === null ? '' : ` of ${user}`} (${command})${more}`;
}
