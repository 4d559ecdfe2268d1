import { type EventLog, readEvents } from '../supervise/event-log.ts';
import type { EventRecord } from '../supervise/protocol.ts';

/**
 * The events of agents on other hosts, in the event log here: what they tell, and what they wrote while nobody listened.
 * Each is taken once: an agent's events are in order of its own clock.
 */
export class RemoteEvents {
  readonly #log: EventLog;
  /** Newest event of each agent, as text, and all others of that moment. */
  readonly #newest: Map<string, { at: string; seen: Set<string> }>;

  /** `file`: the event log, with what earlier controllers took. */
  constructor(log: EventLog, file: string) {
    this.#log = log;
    this.#newest = new Map();
    for (const event of readEvents(file)) this.#remember(event);
  }

  /** Moment of the newest event that is known of the agent of a host. */
  newestOf(host: string): string | null {
    return this.#newest.get(`agent ${host}`)?.at ?? null;
  }

  take(event: EventRecord): void {
    if (this.#remember(event)) this.#log.copy(event);
  }

  /** False when it is known already. */
  #remember(event: EventRecord): boolean {
    const newest = this.#newest.get(event.source);
    const text = JSON.stringify(event);
    if (newest && (event.at < newest.at || newest.seen.has(text))) return false;
    if (newest?.at === event.at) newest.seen.add(text);
    else this.#newest.set(event.source, { at: event.at, seen: new Set([text]) });
    return true;
  }
}
