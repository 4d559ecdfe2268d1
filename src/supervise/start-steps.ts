import type { ChangeStep } from './change-steps.ts';

/**
 * The steps of a gang start, in order, and who takes part in each. The SIGKILL matrix in `test/integration` iterates over this
 * array: every step × before/after × actor.
 *
 *   record ─▶ agents ─▶ attach ─▶ reserve ─▶ prepare ─▶ launch ─▶ ready ─▶ prove ─▶ publish ─▶ commit ─▶ settle
 *   └────────────── undone when the controller stays away ──────────────────────────────────┘└─ never undone unasked
 */
export const START_STEPS = [
  /** The generation is written down before anything exists. */
  { name: 'record', actors: ['controller'] },
  /** One agent a host. */
  { name: 'agents', actors: ['controller'] },
  /** Epoch and lease. */
  { name: 'attach', actors: ['controller', 'agent'] },
  /** GPUs by lock, ports by trial, commands and secrets by look-up. */
  { name: 'reserve', actors: ['controller', 'agent'] },
  /** Every shim stands at its go pipe; identities are on disk. */
  { name: 'prepare', actors: ['controller', 'agent'] },
  /** Go, stage by stage. */
  { name: 'launch', actors: ['controller', 'agent'] },
  /** Readiness of the stage, raced against early exit and the deadline. */
  { name: 'ready', actors: ['controller', 'agent'] },
  /** Every prefill×decode pair moves KV blocks. */
  { name: 'prove', actors: ['controller', 'agent'] },
  /** Workers appear in discovery; the frontend serves. */
  { name: 'publish', actors: ['controller', 'agent'] },
  /** The one create-if-absent record. */
  { name: 'commit', actors: ['controller'] },
  /** Agents read the record and switch from lease to restart policies. */
  { name: 'settle', actors: ['controller', 'agent'] },
] as const;

export type StartStep = (typeof START_STEPS)[number]['name'];
export type CrashMoment = 'before' | 'after';

/**
 * Kills this process here if `DYNAMO_CRASH_AT` says so: `<step>:<before|after>` means the controller,
 * `<step>:<before|after>:<host>` the agent of that host. For tests of the promise that a start is all or nothing.
 */
export function crashPoint(step: StartStep | ChangeStep, moment: CrashMoment, host?: string): void {
  const here = host === undefined ? `${step}:${moment}` : `${step}:${moment}:${host}`;
  if (process.env['DYNAMO_CRASH_AT'] === here) process.kill(process.pid, 'SIGKILL');
}
