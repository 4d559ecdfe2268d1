import { appendFileSync } from 'node:fs';
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
    const event: EventRecord = { at: new Date().toISOString(), source: this.#source, process, type, message };
    try {
      appendFileSync(this.#file, `${JSON.stringify(event)}\n`, { mode: 0o600 });
    } catch {
      // told to the listener all the same
    }
    this.#listener(event);
  }
}
