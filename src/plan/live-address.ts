import type { ProcessSpec } from './launch-plan.ts';

/** A process with the address at which it was seen last: a restart may have taken other ports than the plan's. Pure. */
export function atLiveAddress(
  spec: ProcessSpec,
  seen: readonly Pick<ProcessSpec, 'name' | 'url' | 'ports'>[],
): ProcessSpec {
  const live = seen.find(({ name }) => name === spec.name);
  return live === undefined ? spec : { ...spec, url: live.url, ports: live.ports };
}
