import type { RequestRecord } from './request-record.ts';
import { percentile } from './statistics.ts';

/** What a running benchmark can say of itself. Milliseconds and units per second; null while nothing was measured. */
export interface LiveFigures {
  done: number;
  failed: number;
  requestsPerSecond: number | null;
  tokensPerSecond: number | null;
  ttftP50: number | null;
  ttftP99: number | null;
  itlP50: number | null;
}

/** Throughput is that of the last seconds, so that a slowing server shows. */
const WINDOW_MS = 5_000;
/** Percentiles are those of the newest answers; sorting stays cheap however long the run. */
const NEWEST = 500;

/** Figures of a run while it goes on. Pure: times come with the records. */
export class LiveStats {
  #done = 0;
  #failed = 0;
  readonly #recent: { endMs: number; tokens: number }[] = [];
  readonly #ttft: number[] = [];
  readonly #itl: number[] = [];
  #beganMs: number | undefined;

  add(record: RequestRecord): void {
    this.#done += 1;
    this.#beganMs = Math.min(this.#beganMs ?? record.startMs, record.startMs);
    if (record.outcome !== 'ok') {
      if (record.outcome === 'error') this.#failed += 1;
      return;
    }
    const tokens = record.usage?.completionTokens ?? record.contentMs.length;
    this.#recent.push({ endMs: record.endMs, tokens });
    const first = record.contentMs[0];
    const last = record.contentMs.at(-1);
    if (first === undefined || last === undefined) return;
    keepNewest(this.#ttft, first - record.startMs);
    if (tokens > 1) keepNewest(this.#itl, (last - first) / (tokens - 1));
  }

  figures(nowMs: number): LiveFigures {
    const from = nowMs - WINDOW_MS;
    while (this.#recent.length > 0 && this.#recent[0]!.endMs < from) this.#recent.shift();
    const seconds = this.#beganMs === undefined ? 0 : Math.min(WINDOW_MS, nowMs - this.#beganMs) / 1_000;
    const rate = (count: number): number | null => (seconds > 0 ? count / seconds : null);
    return {
      done: this.#done,
      failed: this.#failed,
      requestsPerSecond: rate(this.#recent.length),
      tokensPerSecond: rate(this.#recent.reduce((sum, { tokens }) => sum + tokens, 0)),
      ttftP50: at(this.#ttft, 50),
      ttftP99: at(this.#ttft, 99),
      itlP50: at(this.#itl, 50),
    };
  }
}

function keepNewest(samples: number[], value: number): void {
  samples.push(value);
  if (samples.length > NEWEST) samples.shift();
}

function at(samples: readonly number[], p: number): number | null {
  return samples.length === 0 ? null : percentile(Float64Array.from(samples).sort(), p);
}
