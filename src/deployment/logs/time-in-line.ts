import type { Arrival } from '../../supervise/log-index.ts';

/** Dynamo's own processes write JSON lines that hold their time (`createLogger`). Exact, where an index can only say about when. */
export function timeInLine(text: string): Arrival | undefined {
  const match = text.startsWith('{"level":') ? /^\{"level":"[a-z]+","time":"([0-9TZ:.-]{20,30})"/.exec(text) : null;
  const at = match?.[1] ? Date.parse(match[1]) : Number.NaN;
  return Number.isNaN(at) ? undefined : { at, from: null };
}
