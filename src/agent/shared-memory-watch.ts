import { statSync } from 'node:fs';
import os from 'node:os';
import { pause } from '../base/abort.ts';
import { formatBytes } from '../base/bytes.ts';
import { messageOf } from '../base/errors.ts';
import type { EventLog } from '../supervise/event-log.ts';
import { type ProcessIdentity, processesOfRun } from '../supervise/identity.ts';
import {
  listShared,
  rememberShared,
  removeLeftShared,
  SHARED_MEMORY_DIR,
  sharedBy,
} from '../supervise/shared-memory.ts';
import type { ShimProcess } from '../supervise/shim-process.ts';

/** How often the folder is looked at; its processes only when something there is new. */
const LOOK_EVERY_MS = 1_000;

/** Clocks of file systems tick in steps of some milliseconds. */
const CLOCK_MS = 100;

/** Kernel start times are in these: a hundred a second wherever Linux runs. */
const TICK_MS = 10;

/** Some machines count their uptime in full seconds. */
const SLACK_MS = 1_000;

/** A run whose shared memory is watched. */
interface WatchedRun {
  process: string;
  identity: ProcessIdentity;
  /** Remembers the files. */
  runDir: string;
  /** Milliseconds since 1970: what is older is somebody else's. */
  sinceMs: number;
}

/**
 * Learns which shared memory the runs of this host make, while they live, so that what a killed engine leaves behind can be told from
 * what belongs to others, and is removed.
 */
export class SharedMemoryWatch {
  readonly #events: Pick<EventLog, 'write'>;
  readonly #dir: string;
  readonly #runs = new Map<string, WatchedRun>();
  /** Ids of files whose maker is known, one of ours or not. */
  #settled = new Set<string>();
  #changedAtMs = -1;

  constructor(events: Pick<EventLog, 'write'>, dir: string = SHARED_MEMORY_DIR) {
    this.#events = events;
    this.#dir = dir;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await pause(LOOK_EVERY_MS, signal);
    }
  }

  /** A run that has begun, now or under an earlier agent. */
  add(process: string, { identity, runDir }: Pick<ShimProcess, 'identity' | 'runDir'>): void {
    const ageMs = os.uptime() * 1_000 - Number(identity.startTime) * TICK_MS;
    this.#runs.set(runDir, { process, identity, runDir, sinceMs: Date.now() - Math.max(0, ageMs) });
    this.#changedAtMs = -1;
  }

  /** Looks now: a run is about to be ended. */
  look(): void {
    if (this.#runs.size === 0) return;
    try {
      const { mtimeMs } = statSync(this.#dir);
      // What came within the same tick of the clock as the last look is seen by the next one.
      if (mtimeMs === this.#changedAtMs) return;
      this.#changedAtMs = Date.now() - mtimeMs > CLOCK_MS ? mtimeMs : -1;
    } catch {
      return; // a system without it
    }
    const files = listShared(this.#dir);
    const isNew = files.filter(({ id }) => !this.#settled.has(id));
    this.#settled = new Set(files.map(({ id }) => id));
    if (isNew.length === 0) return;
    for (const run of this.#runs.values()) {
      const used = new Set(processesOfRun(run.identity.runId, run.identity).flatMap((pid) => sharedBy(pid, this.#dir)));
      const own = isNew.filter(({ id, madeAtMs }) => used.has(id) && madeAtMs >= run.sinceMs - SLACK_MS);
      if (own.length === 0) continue;
      try {
        rememberShared(run.runDir, own);
      } catch (error) {
        this.#say(run, messageOf(error));
      }
    }
  }

  /** The run has ended: what it left is removed. */
  ended(process: string, runDir: string): void {
    this.#runs.delete(runDir);
    const { removed, bytes, kept } = removeLeftShared(runDir, this.#dir);
    if (removed.length > 0)
      this.#say({ process }, `removed what it left in ${this.#dir}: ${listNames(removed)} (${formatBytes(bytes)})`);
    if (kept.length > 0) this.#say({ process }, `left in ${this.#dir}, because others use it: ${listNames(kept)}`);
  }

  #say({ process }: Pick<WatchedRun, 'process'>, message: string): void {
    this.#events.write('shared-memory', message, process);
  }
}

/** An engine over eight GPUs leaves dozens. */
const NAMED = 6;

const listNames = (names: readonly string[]): string =>
  names.length <= NAMED ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;
