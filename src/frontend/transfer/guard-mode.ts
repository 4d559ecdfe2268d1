/**
 * Which decode workers' answers are checked against the worker's count of failed KV transfers: `auto` those of models with
 * several kinds of KV cache, where a failed transfer shows as wrong text only; `always` and `off` all and none.
 */
export const TRANSFER_GUARD_MODES = ['auto', 'always', 'off'] as const;
export type TransferGuardMode = (typeof TRANSFER_GUARD_MODES)[number];

/** How long a pair rests after a failed transfer that may have shown as wrong text. */
export const DEFAULT_QUARANTINE_MS = 30_000;
