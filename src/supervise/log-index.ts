/**
 * When the bytes of a log arrived: a text file beside it, one line an observation, written by whoever looks at the log from time
 * to time. `<bytes> <time>`: at `time` the log was `bytes` long. `<bytes> <time> <from>`: nobody had looked since `from`.
 */
export interface LogMark {
  /** Length of the log in bytes. */
  bytes: number;
  /** Milliseconds since 1970, clock of the log's host. */
  at: number;
  /** Since when nobody had looked, when that was longer than usual; null: the bytes arrived just before `at`. */
  from: number | null;
}

/** When something arrived: at `at`, or somewhere between `from` and `at`. */
export type Arrival = Pick<LogMark, 'at' | 'from'>;

/** The index of a log lies beside it. */
export const indexFile = (logFile: string): string => `${logFile}.idx`;

export function formatMark({ bytes, at, from }: LogMark): string {
  return from === null ? `${bytes} ${at}\n` : `${bytes} ${at} ${from}\n`;
}

/** Reads an index. Half lines, garbage and whatever goes backwards are left out. */
export function parseMarks(text: string): LogMark[] {
  const marks: LogMark[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d{1,15}) (\d{1,15})(?: (\d{1,15}))?$/.exec(line);
    if (!match) continue;
    const mark = { bytes: Number(match[1]), at: Number(match[2]), from: match[3] ? Number(match[3]) : null };
    if (mark.bytes >= (marks.at(-1)?.bytes ?? 0)) marks.push(mark);
  }
  return marks;
}

/** When the byte at `offset` arrived; undefined when nobody has looked since. */
export function arrivalOf(marks: readonly LogMark[], offset: number): Arrival | undefined {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks[middle]!.bytes > offset) high = middle;
    else low = middle + 1;
  }
  return marks[low];
}

/** Where to begin to read what arrived at `time` or later: nothing before that offset did. */
export function offsetSince(marks: readonly LogMark[], time: number): number {
  const first = marks.findIndex((mark) => mark.at >= time);
  if (first < 0) return marks.at(-1)?.bytes ?? 0;
  return marks[first - 1]?.bytes ?? 0;
}
