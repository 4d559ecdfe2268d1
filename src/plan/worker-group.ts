import type { ProcessSpec } from './launch-plan.ts';

/** Whether a process only computes for another that leads its worker: it is started and watched, never published or paired. */
export const isFollower = ({ group }: Pick<ProcessSpec, 'group'>): boolean => group !== undefined && !group.leader;

/** All processes of the worker that `spec` belongs to, itself included, the leader first. */
export function membersOf(spec: ProcessSpec, processes: readonly ProcessSpec[]): ProcessSpec[] {
  const { group } = spec;
  if (group === undefined) return [spec];
  return processes
    .filter((other) => other.group?.name === group.name)
    .toSorted((a, b) => (a.group?.rank ?? 0) - (b.group?.rank ?? 0));
}
