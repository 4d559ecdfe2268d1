import { DynamoError } from '../base/errors.ts';
import type { LaunchPlan } from './launch-plan.ts';

/** Who listens on a port, as far as it can be known. */
export type PortHolderLookup = (port: number) => { pid: number; command: string } | undefined;

/**
 * Refuses a start whose written-down ports are in use, naming each holder. Ports dynamo chose itself are not looked at:
 * an agent takes others when these are gone by then. Throws `PORT_IN_USE`.
 */
export function refuseHeldPorts(plan: LaunchPlan, listening: readonly number[], holderOf: PortHolderLookup): void {
  const held = plan.processes.flatMap((spec) =>
    spec.fixedPorts.flatMap((purpose) => {
      const port = spec.ports[purpose];
      return port !== undefined && listening.includes(port) ? [{ process: spec.name, port }] : [];
    }),
  );
  const [first] = held;
  if (!first) return;
  const lines = held.map(({ process, port }) => {
    const holder = holderOf(port);
    return `port ${port} for ${process}: held by ${holder ? `process ${holder.pid}, ${holder.command}` : 'a process of another user'}`;
  });
  const message =
    held.length === 1 ? `port ${first.port} for ${first.process} is in use` : `${held.length} ports are in use`;
  throw new DynamoError('PORT_IN_USE', message, { details: lines });
}
