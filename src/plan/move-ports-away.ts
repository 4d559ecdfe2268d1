import type { ProcessSpec } from './launch-plan.ts';
import { movePort } from './move-port.ts';
import { portRun } from './port-run.ts';

/**
 * A process with other ports where its own are among `taken` and a restart may choose them anew; the rest of it stays. `taken` gets those that
 * are chosen. Ports that are written down stay, too. Pure but for `taken`.
 */
export function movePortsAway(spec: ProcessSpec, taken: Set<number>): ProcessSpec {
  let moved = spec;
  for (const fresh of spec.freshPorts ?? []) {
    const { purpose, count, first, last } = fresh;
    const isFree = (start: number) => portRun(start, count).every((port) => !taken.has(port));
    const own = spec.ports[purpose];
    if (own === undefined || spec.fixedPorts.includes(purpose) || isFree(own)) continue;
    const start = portRun(first, last - first - count + 2).find(isFree);
    if (start === undefined) continue;
    for (const port of portRun(start, count)) taken.add(port);
    moved = movePort(moved, purpose, start);
  }
  return moved;
}
