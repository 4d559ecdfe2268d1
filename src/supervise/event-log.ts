import { appendFileSync, readFileSync } from 'node:fs';
import type { EventRecord } from './protocol.ts';

/**
 * Appends transitions with their reasons to the deployment's event log, one JSON object a line. Lines of several processes
 * interleave whole. Best effort: a full disk costs the line, never the action it tells of.
 */
export class EventLog {
  readonly #file: string;
  readonly #source: string;
  readonly #listener: (event: EventRecord) => void;

  constructor(file: string, source: string, listener: (event: EventRecord) => void = () => {}) {
    this.#file = file;
    this.#source = source;
    this.#listener = listener;
  }

  write(type: string, message: string, process: string | null = null): void {
    this.copy({ at: new Date().toISOString(), source: this.#source, process, type, message });
  }

  /** Takes an event over that somebody else wrote elsewhere. */
  copy(event: EventRecord): void {
    try {
      appendFileSync(this.#file, `${JSON.stringify(event)}\n`, { mode: 0o600 });
    } catch {
      // told to the listener all the same
    }
    this.#listener(event);
  }
}

/** All events of a log; lines that are none (half a line after a crash) are left out, as is a log that is not there. */
export function readEvents(file: string): EventRecord[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => parseEvent(line) ?? []);
}

/** One line of an event log; undefined for one that was cut by a crash or a full disk. */
export function parseEvent(line: string): EventRecord | undefined {
  try {
    return line === '' ? undefined : (JSON.parse(line) as EventRecord);
  } catch {
    return undefined;
  }
}

/**
 * Those that were written from a moment on. By their order in the log where that moment stands in it, because a clock may be set back;
 * else by their times. Null: all.
 */
export function eventsSince(events: readonly EventRecord[], from: string | null): EventRecord[] {
  if (from === null) return [...events];
  const index = events.findIndex(({ at }) => at === from);
  return index < 0 ? events.filter(({ at }) => at >= from) : events.slice(index);
}
