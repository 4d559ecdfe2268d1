import { anySignal, pause, raceAbort } from '../base/abort.ts';
import { formatDuration } from '../base/duration.ts';
import { DynamoError, type ErrorCode } from '../base/errors.ts';
import { describeObstacle, describeObstacles, type Obstacle } from './obstacles.ts';
import type { Blocked } from './plan-around.ts';
import type { LaunchLook, PreparedLaunch } from './plan-recipe.ts';

/** What a start may end with because others were quicker, or a host went away. */
const MAY_PASS: ReadonlySet<ErrorCode> = new Set(['GPU_UNAVAILABLE', 'HOST_UNREACHABLE', 'PORT_IN_USE']);
/** A look is paid for by a pause of so many times its length, within limits. */
const PAUSE_FACTOR = 5;
const LEAST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
const TICK_MS = 1_000;
/** After a start that came too late: up to so long on top, twice as long each time. */
const LOST_MS = 500;
const MOST_DOUBLINGS = 5;

export interface FreeWaitOptions {
  /** From now on; null: without end. */
  durationMs: number | null;
  /** Told when what it waits for has changed. */
  onWaiting(obstacles: readonly Obstacle[], waitedMs: number): void;
  onFree(waitedMs: number): void;
  /** Every second of a pause; null when there is nothing to count any more. */
  onTick?(waitedMs: number | null): void;
  /** In [0, 1). */
  random(): number;
}

/**
 * Waits until everything a start needs is free at once. Nothing is reserved meanwhile: a look only reads.
 *
 *   look ─▶ something in the way ─▶ pause ─▶ look
 *     └───▶ free ─▶ start ─▶ others were quicker: taken back ─▶ pause, longer each time ─▶ look
 *
 * Of several who wait for the same, whoever takes all first has it: there is no queue. Two that took a part each both give it back;
 * pauses are random, so one of them comes first the next time.
 */
export class FreeWait {
  readonly #options: FreeWaitOptions;
  readonly #began = performance.now();
  #said = '';
  #last: readonly Obstacle[] = [];
  #lost = 0;
  #looks = 0;

  constructor(options: FreeWaitOptions) {
    this.#options = options;
  }

  /** The first plan that has nothing in its way. Throws `NOT_FREE` when the time is over, `START_STOPPED` on SIGINT or SIGTERM. */
  async next(look: (signal: AbortSignal) => Promise<LaunchLook>): Promise<PreparedLaunch> {
    return this.#whileWanted(async (signal, interrupted) => {
      for (;;) {
        const began = performance.now();
        this.#looks += 1;
        // Also with no time to wait at all there is one look.
        const may = this.#looks === 1 ? interrupted : signal;
        const found = await raceAbort(look(may), may);
        if ('prepared' in found) {
          this.#options.onTick?.(null);
          if (this.#said !== '') this.#options.onFree(this.#waitedMs);
          return found.prepared;
        }
        this.#tell(found.blocked);
        await this.#pause(lookPauseMs(performance.now() - began, this.#options.random()), signal);
      }
    });
  }

  /** A start has ended so: returns when it is time for another look, throws what waiting does not mend. */
  async lost(error: unknown): Promise<void> {
    if (!(error instanceof DynamoError) || !MAY_PASS.has(error.code)) throw error;
    this.#tell({ error, obstacles: [{ host: null, gpus: [], why: error.message }] });
    await this.#whileWanted((signal) => this.#pause(lostPauseMs(this.#lost, this.#options.random()), signal));
    this.#lost += 1;
  }

  #tell({ obstacles }: Blocked): void {
    this.#last = obstacles;
    const text = describeObstacles(obstacles);
    if (text === this.#said) return;
    this.#said = text;
    this.#options.onTick?.(null);
    this.#options.onWaiting(obstacles, this.#waitedMs);
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const end = performance.now() + ms;
    for (let left = ms; left > 0; left = end - performance.now()) {
      this.#options.onTick?.(this.#waitedMs);
      await pause(Math.min(left, TICK_MS), signal);
      signal.throwIfAborted();
    }
  }

  get #waitedMs(): number {
    return Math.round(performance.now() - this.#began);
  }

  /** `signal` aborts with the reason when nobody wants to wait any longer; `interrupted` only for signals. */
  async #whileWanted<T>(action: (signal: AbortSignal, interrupted: AbortSignal) => Promise<T>): Promise<T> {
    const interrupted = new AbortController();
    const late = new AbortController();
    const stop = () => interrupted.abort(this.#stopped());
    const { durationMs } = this.#options;
    const timer =
      durationMs === null
        ? undefined
        : setTimeout(() => late.abort(this.#tooLate(durationMs)), Math.max(0, durationMs - this.#waitedMs));
    // A terminal that closes ends it too: there is nothing to leave running.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
    try {
      return await action(anySignal(interrupted.signal, late.signal), interrupted.signal);
    } finally {
      clearTimeout(timer);
      this.#options.onTick?.(null);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, stop);
    }
  }

  #stopped(): DynamoError {
    return new DynamoError('START_STOPPED', `stopped waiting after ${formatDuration(this.#waitedMs)}`, {
      hint: 'Nothing was reserved and nothing runs.',
    });
  }

  #tooLate(durationMs: number): DynamoError {
    return new DynamoError('NOT_FREE', `not everything was free within ${formatDuration(durationMs)}`, {
      details: this.#last.map(describeObstacle),
    });
  }
}

/** Between two looks: hosts that answer slowly are asked less often. Half of it up or down, so that waiters do not march in step. */
export function lookPauseMs(lookMs: number, random: number): number {
  const pauseMs = Math.min(Math.max(lookMs * PAUSE_FACTOR, LEAST_PAUSE_MS), LONGEST_PAUSE_MS);
  return pauseMs * (0.75 + random / 2);
}

/** After the start that was lost as number `lost`, counted from 0. */
export function lostPauseMs(lost: number, random: number): number {
  return LEAST_PAUSE_MS / 2 + random * LOST_MS * 2 ** Math.min(lost, MOST_DOUBLINGS);
}
