/** What a process of a deployment is for. */
export const ROLES = ['frontend', 'router', 'prefill', 'decode', 'aggregated', 'planner', 'store'] as const;
export type Role = (typeof ROLES)[number];

/** Roles that generate tokens. */
export const WORKER_ROLES = ['prefill', 'decode', 'aggregated'] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];
