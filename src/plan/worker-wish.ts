import type { WorkerRole } from '../base/role.ts';

/** What one worker wants. */
export interface WorkerWish {
  worker: string;
  role: WorkerRole;
  /** Served name of its model: prefill and decode workers of one model exchange KV cache. */
  model: string;
  /** The same for all replicas of a group. */
  group: string;
  /** GPUs on each of its hosts. */
  count: number;
  /** Hosts that it spans. */
  nodes: number;
  /** Part of the GPU's name, any case. */
  type: string | undefined;
  /** Labels its hosts must have. */
  placement: Readonly<Record<string, string>> | undefined;
  /** Shares its GPU with others of the model that say the same: so many workers on each. */
  sharing: number;
  /** Somebody else runs it: it takes nothing of the host that looks at it. */
  external: boolean;
}

/** A worker that runs already, on one of its hosts: who comes on top is spread around it. */
export type Resident = Pick<WorkerWish, 'role' | 'model' | 'group' | 'external'> & { host: string };

/** Workers that share GPUs, as one: `wish` stands for all of `guests`. */
export interface Unit {
  wish: WorkerWish;
  guests: WorkerWish[];
}
