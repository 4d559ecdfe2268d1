import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { pause } from '../base/abort.ts';
import { messageOf, systemCode } from '../base/errors.ts';
import type { LogSpec } from '../plan/launch-plan.ts';
import { formatMark, indexFile, type LogMark, parseMarks } from '../supervise/log-index.ts';
import { fileSize } from '../supervise/log-tail.ts';

/** A log is looked at this often: lines of two processes are put in order no finer than that. */
const LOOK_MS = 250;
/** Nobody looked for this long: an agent was away. */
const GAP_MS = 4 * LOOK_MS;
const COPY_BYTES = 1024 * 1024;

/** Where the recipe says nothing. */
export const DEFAULT_LOG: LogSpec = { maxBytes: 64 * 1024 * 1024, keep: 3 };

export interface KeptLog extends LogSpec {
  file: string;
}

export interface LogKeeperOptions {
  logs(): readonly KeptLog[];
  /** Milliseconds since 1970. */
  now(): number;
  onProblem(file: string, message: string): void;
}

/**
 * Looks at the logs of processes that write them by themselves: notes when bytes arrived (`log-index.ts`) and rotates by copy
 * and truncate, as the writers keep their descriptor. What a process writes between the last copied byte and the truncation
 * is lost: microseconds.
 */
export class LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #last = new Map<string, LogMark>();
  /** Logs with a problem that was told. */
  readonly #troubled = new Set<string>();

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  /** Looks until the signal aborts, and once more then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await pause(LOOK_MS, signal);
    }
    this.look();
  }

  /** Looks at every log once. Never throws: a full disk costs times and rotation, not the deployment. */
  look(): void {
    for (const log of this.#options.logs()) {
      try {
        this.#lookAt(log);
        this.#troubled.delete(log.file);
      } catch (error) {
        if (!this.#troubled.has(log.file)) this.#options.onProblem(log.file, messageOf(error));
        this.#troubled.add(log.file);
      }
    }
  }

  #lookAt(log: KeptLog): void {
    const bytes = fileSize(log.file);
    const last = this.#last.get(log.file) ?? lastMark(log.file);
    const at = this.#options.now();
    if (last && bytes < last.bytes) rmSync(indexFile(log.file), { force: true }); // somebody else truncated it
    const known = last && bytes >= last.bytes ? last : undefined;
    if (bytes > (known?.bytes ?? 0)) {
      // What was there when the first agent looked is of this moment; what a successor finds is of its predecessor's absence.
      const away = known !== undefined && !this.#last.has(log.file) && at - known.at > GAP_MS;
      const mark = { bytes, at, from: away ? known.at : null };
      appendFileSync(indexFile(log.file), formatMark(mark), { mode: 0o600 });
      this.#last.set(log.file, mark);
    } else if (known) this.#last.set(log.file, known);
    else this.#last.delete(log.file);
    if (bytes > log.maxBytes) this.#rotate(log);
  }

  #rotate({ file, keep }: KeptLog): void {
    const older = (number: number) => `${file}.${number}`;
    for (const named of [older, (number: number) => indexFile(older(number))]) {
      rmSync(named(keep), { force: true });
      for (let number = keep - 1; number >= 1; number -= 1) {
        if (existsSync(named(number))) renameSync(named(number), named(number + 1));
      }
    }
    if (keep > 0) copyGrowing(file, older(1));
    truncateSync(file);
    if (keep > 0 && existsSync(indexFile(file))) renameSync(indexFile(file), indexFile(older(1)));
    const mark = { bytes: 0, at: this.#options.now(), from: null };
    writeFileSync(indexFile(file), formatMark(mark), { mode: 0o600 });
    this.#last.set(file, mark);
  }
}

/** Copies a file that is being written, up to a moment when nothing is left to copy. */
function copyGrowing(from: string, to: string): void {
  try {
    copyFileSync(from, to);
    const [source, target] = [openSync(from, 'r'), openSync(to, 'a')];
    try {
      const buffer = Buffer.alloc(COPY_BYTES);
      let copied = fstatSync(target).size;
      for (let read = -1; read !== 0; copied += read) {
        read = readSync(source, buffer, 0, buffer.length, copied);
        for (let written = 0; written < read; ) written += writeSync(target, buffer, written, read - written);
      }
    } finally {
      closeSync(source);
      closeSync(target);
    }
  } catch (error) {
    rmSync(to, { force: true }); // half a copy on a full disk helps nobody
    throw error;
  }
}

function lastMark(file: string): LogMark | undefined {
  try {
    return parseMarks(readFileSync(indexFile(file), 'utf8')).at(-1);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
