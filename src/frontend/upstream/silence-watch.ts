import type { Origin } from './connection.ts';
import type { Knock } from './knock.ts';

/** How often `tick` is meant to be called. */
export const TICK_MS = 200;
/** Silence after which a worker's machine is asked whether it is there. */
const QUIET_MS = 400;
/** Ticks without an answer after which it counts as silent. They are counted, so that a frontend that stood still blames nobody. */
const SILENT_TICKS = 5;
/** So many before that, it is time to ask whether others are there. */
const DOUBT_TICKS = 2;
/** Pause after an answer; a stopped process takes none of the connections it is asked with, and a kernel keeps only so many. */
const ASK_AGAIN_MS = 1_000;

/** A request under way, as far as silence is concerned. */
export interface Waiting {
  readonly origin: Origin;
  /** Another address it cannot go on without. */
  readonly partner: Origin | undefined;
  /** Since nothing has come for it. */
  readonly activeAtMs: number;
  /** Something has come for it. */
  readonly gotBytes: boolean;
}

export interface SilenceEvents {
  knock(origin: Origin, answered: () => void): Knock;
  /** It does not look well for the address: who could stand in for it? */
  doubted(origin: Origin): void;
  /** Nothing has been heard from the address since then. */
  silent(origin: Origin, sinceMs: number): void;
  /** Whether requests still avoid the address; it is asked anew when they do not. */
  isAvoided(origin: Origin): boolean;
}

interface Asked {
  sinceMs: number;
  state: 'asked' | 'heard' | 'silent';
  askAgainMs: number;
  unanswered: number;
  knocks: Knock[];
}

/**
 * Finds workers whose machine has fallen silent, while requests wait for them. A cut cable, a lost host or a dropped route sends no
 * packet that would end a connection.
 *
 *   unasked ──a request waits, nothing has come for 0.4 s──▶ asked: a connection is tried each tick
 *   asked ──one is accepted or refused──▶ heard ──a second later, and still nothing──▶ asked
 *   asked ──none is, for 5 ticks──▶ silent ──requests go there again──▶ unasked
 *   asked, heard ──something comes──▶ unasked
 *
 * A worker that thinks for a minute, starves or is stopped is not silent: the kernel of its machine answers for it.
 */
export class SilenceWatch {
  readonly #events: SilenceEvents;
  readonly #asked = new Map<Origin, Asked>();
  #nowMs = 0;

  constructor(events: SilenceEvents) {
    this.#events = events;
  }

  /** Looks at all requests under way. */
  tick(requests: Iterable<Waiting>, nowMs: number): void {
    this.#nowMs = nowMs;
    const quiet = quietOrigins(requests, nowMs);
    for (const [origin, asked] of this.#asked) {
      const isOver = asked.state === 'silent' ? !this.#events.isAvoided(origin) : !quiet.has(origin);
      if (isOver) this.#forget(origin, asked);
    }
    for (const origin of quiet) {
      const asked = this.#asked.get(origin);
      if (asked === undefined) this.#ask(origin, this.#begin(origin));
      else if (asked.state === 'heard' && nowMs >= asked.askAgainMs) {
        asked.state = 'asked';
        this.#ask(origin, asked);
      } else if (asked.state === 'asked') this.#judge(origin, asked);
    }
  }

  get foundAny(): boolean {
    for (const { state } of this.#asked.values()) if (state === 'silent') return true;
    return false;
  }

  isSilent(origin: Origin): boolean {
    return this.#asked.get(origin)?.state === 'silent';
  }

  /** How long, at the last tick; 0 while it is not. */
  silentForMs(origin: Origin): number {
    const asked = this.#asked.get(origin);
    return asked?.state === 'silent' ? this.#nowMs - asked.sinceMs : 0;
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const [origin, asked] of this.#asked) this.#forget(origin, asked);
  }

  #begin(origin: Origin): Asked {
    // An older request proves nothing: its worker may be slow, and have answered others.
    const sinceMs = this.#nowMs - QUIET_MS;
    const asked: Asked = { sinceMs, state: 'asked', askAgainMs: 0, unanswered: 0, knocks: [] };
    this.#asked.set(origin, asked);
    return asked;
  }

  #judge(origin: Origin, asked: Asked): void {
    if (asked.knocks.some(({ isOut }) => isOut)) asked.unanswered += 1;
    if (asked.unanswered === SILENT_TICKS - DOUBT_TICKS) this.#events.doubted(origin);
    if (asked.unanswered < SILENT_TICKS) {
      this.#ask(origin, asked);
      return;
    }
    asked.state = 'silent';
    endKnocks(asked);
    this.#events.silent(origin, asked.sinceMs);
  }

  /** A new attempt each time: the kernel repeats a lost packet only after a second. */
  #ask(origin: Origin, asked: Asked): void {
    asked.knocks.push(
      this.#events.knock(origin, () => {
        if (asked.state !== 'asked') return;
        endKnocks(asked);
        asked.state = 'heard';
        asked.unanswered = 0;
        asked.sinceMs = this.#nowMs;
        asked.askAgainMs = asked.sinceMs + ASK_AGAIN_MS;
      }),
    );
  }

  #forget(origin: Origin, asked: Asked): void {
    endKnocks(asked);
    this.#asked.delete(origin);
  }
}

function endKnocks(asked: Asked): void {
  for (const each of asked.knocks.splice(0)) each.end();
}

/** Addresses that a request waits for and that sent nothing to any. */
function quietOrigins(requests: Iterable<Waiting>, nowMs: number): Set<Origin> {
  const quiet = new Set<Origin>();
  const heard = new Set<Origin>();
  for (const { origin, partner, activeAtMs, gotBytes } of requests) {
    if (nowMs - activeAtMs < QUIET_MS) {
      if (gotBytes) heard.add(origin);
      continue;
    }
    quiet.add(origin);
    if (partner !== undefined) quiet.add(partner);
  }
  for (const origin of heard) quiet.delete(origin);
  return quiet;
}
