/**
 * The steps by which a running deployment changes what it runs, in order; `DYNAMO_CRASH_AT` takes them like the steps of a start.
 *
 *   change-record ─▶ change-join ─▶ change-reserve ─▶ … ─▶ change-publish ─▶ change-commit ─▶ change-settle ─▶ change-retire
 *   └──────── undone when the controller stays away ───────┘└─ finished by whoever comes next ───────────────┘
 */
export const CHANGE_STEPS = [
  /** What shall become is written down before anything is done. */
  { name: 'change-record', actors: ['controller'] },
  /** Hosts that have no part in the deployment get one: kit, agent, store. */
  { name: 'change-join', actors: ['controller'] },
  /** As in a start, for the new processes alone; those that run go on. */
  { name: 'change-reserve', actors: ['controller', 'agent'] },
  { name: 'change-prepare', actors: ['controller', 'agent'] },
  { name: 'change-launch', actors: ['controller', 'agent'] },
  { name: 'change-ready', actors: ['controller', 'agent'] },
  { name: 'change-prove', actors: ['controller', 'agent'] },
  { name: 'change-publish', actors: ['controller', 'agent'] },
  /** The one create-if-absent record of generation and revision. */
  { name: 'change-commit', actors: ['controller'] },
  /** Restart policies apply to the new processes. */
  { name: 'change-settle', actors: ['controller', 'agent'] },
  /** What goes is drained, stopped and forgotten. */
  { name: 'change-retire', actors: ['controller', 'agent'] },
] as const;

export type ChangeStep = (typeof CHANGE_STEPS)[number]['name'];
