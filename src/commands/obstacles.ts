import { formatRanges } from '../plan/gpu-shortage.ts';

/** Something that keeps a start from beginning now, and may be over later. */
export interface Obstacle {
  /** Null where it is not one host's. */
  host: string | null;
  /** GPUs of that host that others have; empty when the host itself is in the way. */
  gpus: number[];
  why: string;
}

/** What is in the way, in one line. */
export function describeObstacles(obstacles: readonly Obstacle[]): string {
  return obstacles.map(describeObstacle).join('; ');
}

export function describeObstacle({ host, gpus, why }: Obstacle): string {
  const where = host === null || host === 'local' ? '' : ` of ${host}`;
  if (gpus.length > 0) return `${gpus.length === 1 ? 'GPU' : 'GPUs'} ${formatRanges(gpus)}${where} ${why}`;
  return host === null || why.startsWith(host) ? why : `${host}: ${why}`;
}
