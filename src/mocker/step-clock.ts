/** A step this close to its end counts as over: timers are no finer. */
export const SCHEDULING_SLACK_MS = 0.5;

/** A worker that was held up (stopped, starved) for longer than this does not make the lost time up. */
const MAX_LAG_MS = 250;

/** When the step in progress ends. Steps follow each other without gaps, however late the timers are. */
export class StepClock {
  /** Monotonic milliseconds. */
  dueMs: number;

  constructor(nowMs: number) {
    this.dueMs = nowMs;
  }

  /** The worker was idle until now. */
  start(nowMs: number): void {
    this.dueMs = Math.max(this.dueMs, nowMs);
  }

  /** A step of this duration begins where the last one ended. */
  advance(durationMs: number, nowMs: number): void {
    this.dueMs = Math.max(this.dueMs, nowMs - MAX_LAG_MS) + durationMs;
  }
}
