/**
 * Looks for stop strings in text that arrives in pieces. Text that may be the beginning of one is held back, so that
 * a reader of the stream never sees a part of it. The stop string itself is not given out.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  readonly #longest: number;
  #held = '';
  /** The string that was found. */
  found: string | undefined;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#longest = Math.max(0, ...stops.map((stop) => stop.length));
  }

  /** Adds text, gives back what may be shown. `searches` false only passes on (`min_tokens` are not reached yet). */
  push(text: string, searches: boolean): string {
    if (this.#longest === 0) return text;
    const all = this.#held + text;
    if (searches) {
      const hit = this.#firstHit(all);
      if (hit) {
        this.found = hit.stop;
        this.#held = '';
        return all.slice(0, hit.at);
      }
    }
    const shown = Math.max(0, all.length - (this.#longest - 1));
    this.#held = all.slice(shown);
    return all.slice(0, shown);
  }

  /** What was held back, once no more text comes. */
  rest(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  #firstHit(text: string): { at: number; stop: string } | undefined {
    let best: { at: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (best === undefined || at < best.at)) best = { at, stop };
    }
    return best;
  }
}
