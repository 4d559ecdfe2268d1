import type { TakenPort } from '../base/errors.ts';
import { type FailureSignature, toldPort } from '../engines/engine.ts';
import { portHolder } from '../hosts/port-holder.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/**
 * Ports that a process lost, by its output: the one that a line names, otherwise all that the failure may be about. Of those of a
 * process that has ended only the ones that somebody listens on now, if any.
 */
export function lostPorts(
  spec: Pick<ProcessSpec, 'name' | 'ports'>,
  failure: FailureSignature | undefined,
  lines: readonly string[],
  hasEnded: boolean,
): TakenPort[] {
  const told = failure && toldPort(failure, lines, spec.ports);
  if (told) return [{ process: spec.name, ...told }];
  const possible = Object.entries(spec.ports)
    .filter(([purpose]) => failure?.purposes?.includes(purpose) ?? true)
    .map(([purpose, port]) => ({ process: spec.name, purpose, port }));
  const held = hasEnded ? possible.filter(({ port }) => portHolder(port) !== undefined) : [];
  return held.length > 0 ? held : possible;
}
