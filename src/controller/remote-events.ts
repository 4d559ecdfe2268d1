import { type EventLog, readEvents } from '../supervise/event-log.ts';
import type { EventRecord } from '../supervise/protocol.ts';

/** Events of one agent that are remembered so that none is taken twice; more than it tells at once. */
const REMEMBERED = 4_000;

/**
 * The events of agents on other hosts, in the event log here: what they tell, and what they wrote while nobody listened.
 * Each is taken once, known by its whole text: the clock of a host may be set back.
 */
export class RemoteEvents {
  readonly #log: EventLog;
  /** By who wrote them: the moment of the last one, and the texts of the last thousands. */
  readonly #known: Map<string, { last: string; texts: Set<string> }>;

  /** `file`: the event log, with what earlier controllers took. */
  constructor(log: EventLog, file: string) {
    this.#log = log;
    this.#known = new Map();
    for (const event of readEvents(file)) this.#remember(event);
  }

  /** Moment of the last event that is known of the agent of a host. */
  newestOf(host: string): string | null {
    return this.#known.get(`agent ${host}`)?.last ?? null;
  }

  take(event: EventRecord): void {
    if (this.#remember(event)) this.#log.copy(event);
  }

  /** False when it is known already. */
  #remember(event: EventRecord): boolean {
    const known = this.#known.get(event.source) ?? { last: event.at, texts: new Set<string>() };
    this.#known.set(event.source, known);
    const text = JSON.stringify(event);
    if (known.texts.has(text)) return false;
    known.texts.add(text);
    known.last = event.at;
    if (known.texts.size > REMEMBERED) {
      const [oldest] = known.texts;
      known.texts.delete(oldest!);
    }
    return true;
  }
}
