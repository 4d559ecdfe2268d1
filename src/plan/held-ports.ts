import { DynamoError } from '../base/errors.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { LaunchPlan } from './launch-plan.ts';

/** Who listens on a port of this machine, as far as it can be known. */
export type PortHolderLookup = (port: number) => { pid: number; command: string } | undefined;

/**
 * Refuses a start whose written-down ports are in use, naming each holder. Ports dynamo chose itself are not looked at:
 * an agent takes others when these are gone by then. Throws `PORT_IN_USE`.
 */
export function refuseHeldPorts(plan: LaunchPlan, facts: readonly HostFacts[], holderOf: PortHolderLookup): void {
  const held = plan.processes.flatMap((spec) => {
    const listening = facts.find(({ name }) => name === spec.host)?.listeningPorts ?? [];
    return spec.fixedPorts.flatMap((purpose) => {
      const port = spec.ports[purpose];
      return port !== undefined && listening.includes(port) ? [{ process: spec.name, host: spec.host, port }] : [];
    });
  });
  const [first] = held;
  if (!first) return;
  const placeOf = (host: string): string => (host === 'local' ? '' : ` on ${host}`);
  const lines = held.map(({ process, host, port }) => {
    // The process table of another machine is not at hand.
    const holder = host === 'local' ? holderOf(port) : undefined;
    const unknown = host === 'local' ? 'a process of another user' : 'some process there';
    const by = holder ? `process ${holder.pid}, ${holder.command}` : unknown;
    return `port ${port}${placeOf(host)} for ${process}: held by ${by}`;
  });
  const message =
    held.length === 1
      ? `port ${first.port}${placeOf(first.host)} for ${first.process} is in use`
      : `${held.length} ports are in use`;
  throw new DynamoError('PORT_IN_USE', message, { details: lines });
}
