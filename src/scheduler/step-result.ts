import type { ScheduledRequest } from './request.ts';

/** What one step did. The arrays are reused: read them before the next step. */
export interface StepResult<T> {
  /** Milliseconds the step takes. */
  durationMs: number;
  prefillTokens: number;
  decodeRequests: number;
  /** Requests that entered the batch for the first time; `cachedTokens` is known now. */
  admitted: ScheduledRequest<T>[];
  preempted: ScheduledRequest<T>[];
  /** Requests that now hold blocks for KV cache from elsewhere: the caller loads it, then calls `loaded` or `loadFailed`. */
  loading: ScheduledRequest<T>[];
  /** Requests that got one more token at the end of the step. */
  produced: ScheduledRequest<T>[];
  /** Those of `produced` that reached their output length. */
  finished: ScheduledRequest<T>[];
}

export interface SchedulerStats {
  running: number;
  /** Not running yet, those that load included. */
  waiting: number;
  loading: number;
  held: number;
  totalBlocks: number;
  /** Blocks somebody refers to. */
  activeBlocks: number;
  cachedBlocks: number;
  /** Prompt tokens looked up in the prefix cache, and found. */
  prefixQueries: number;
  prefixHits: number;
  preemptions: number;
  steps: number;
}

export function emptyStepResult<T>(): StepResult<T> {
  return {
    durationMs: 0,
    prefillTokens: 0,
    decodeRequests: 0,
    admitted: [],
    preempted: [],
    loading: [],
    produced: [],
    finished: [],
  };
}
