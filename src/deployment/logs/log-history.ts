import { type Arrival, arrivalOf, type LogMark, offsetSince } from '../../supervise/log-index.ts';
import type { LogFiles } from './log-files.ts';
import { timeInLine } from './time-in-line.ts';

const CHUNK_BYTES = 256 * 1024;
/** A line without an end is cut here. */
const LONGEST_LINE = 1024 * 1024;
const NEWLINE = 0x0a;

/** A line of a process's output. */
export interface LoggedLine {
  process: string;
  text: string;
  /** Null when nobody saw it arrive. */
  arrival: Arrival | null;
}

/** A file of a log and where to begin in it. */
interface Place {
  file: string;
  offset: number;
}

/**
 * The log of one process with its rotated predecessors: `NAME.log.2`, `NAME.log.1`, `NAME.log`. Read it once by `lines` or `tail`,
 * then go on by `next`.
 */
export class LogHistory {
  /** Name of the log. */
  readonly process: string;
  readonly #files: LogFiles;
  /** Whether a line that has no end yet is left for `next`. */
  readonly #follows: boolean;
  /** How far the newest file has been read, by whole lines. */
  #end = 0;

  /** `from`: where another history of the same log was when its files could not be read any more. */
  constructor(files: LogFiles, process: string, options: { follows: boolean; from?: number }) {
    this.#files = files;
    this.process = process;
    this.#follows = options.follows;
    this.#end = options.from ?? 0;
  }

  /** How far it has been read: for a history that goes on from here. */
  get position(): number {
    return this.#end;
  }

  /** All lines in order, from the oldest kept, or only from where those may stand that arrived at `since` or later. */
  async *lines(since?: number): AsyncGenerator<LoggedLine> {
    for (const file of await this.#generations()) {
      const marks = await this.#files.marks(file);
      if (since !== undefined && (marks.at(-1)?.at ?? Infinity) < since && !(await this.#grewAfter(file, marks)))
        continue;
      yield* this.#linesOf({ file, offset: since === undefined ? 0 : offsetSince(marks, since) }, marks);
    }
  }

  /** The newest `count` lines, in order. */
  async tail(count: number): Promise<LoggedLine[]> {
    if (count === 0) {
      this.#end = await this.#files.size(this.#own);
      return [];
    }
    const places: Place[] = [];
    let missing = count;
    for (const file of (await this.#generations()).reverse()) {
      if (missing <= 0) break;
      const { offset, lines } = await this.#findTail(file, missing);
      places.unshift({ file, offset });
      missing -= lines;
    }
    const found: LoggedLine[] = [];
    for (const place of places) {
      for await (const line of this.#linesOf(place, await this.#files.marks(place.file))) found.push(line);
    }
    return found.slice(-count);
  }

  /** Lines written since. What was rotated away meanwhile comes first. */
  async next(): Promise<LoggedLine[]> {
    const found: LoggedLine[] = [];
    const take = async (place: Place) => {
      for await (const line of this.#linesOf(place, [])) found.push(line);
    };
    const from = this.#end;
    if ((await this.#files.size(this.#own)) < from) {
      await take({ file: `${this.#own}.1`, offset: from });
      this.#end = 0;
    }
    await take({ file: this.#own, offset: this.#end });
    return found;
  }

  get #own(): string {
    return `${this.process}.log`;
  }

  /** Oldest first. */
  async #generations(): Promise<string[]> {
    const own = this.#own;
    const rotated = (await this.#files.list()).flatMap((file) => {
      const number = file.startsWith(`${own}.`) ? Number(file.slice(own.length + 1)) : Number.NaN;
      return Number.isInteger(number) ? [{ file, number }] : [];
    });
    return [...rotated.sort((a, b) => b.number - a.number).map(({ file }) => file), own];
  }

  async #grewAfter(file: string, marks: readonly LogMark[]): Promise<boolean> {
    return (await this.#files.size(file)) > (marks.at(-1)?.bytes ?? 0);
  }

  async *#linesOf({ file, offset }: Place, marks: readonly LogMark[]): AsyncGenerator<LoggedLine> {
    let rest = Buffer.alloc(0);
    let start = offset;
    const line = (bytes: Buffer, at: number): LoggedLine => {
      const text = bytes.toString('utf8');
      return { process: this.process, text, arrival: timeInLine(text) ?? arrivalOf(marks, at) ?? null };
    };
    for (;;) {
      const chunk = await this.#files.read(file, start + rest.length, CHUNK_BYTES);
      if (chunk.length === 0) break;
      let bytes = Buffer.concat([rest, chunk]);
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
        yield line(bytes.subarray(0, end), start + end);
        bytes = bytes.subarray(end + 1);
        start += end + 1;
      }
      if (bytes.length > LONGEST_LINE) {
        yield line(bytes, start + bytes.length - 1);
        start += bytes.length;
        bytes = Buffer.alloc(0);
      }
      rest = bytes;
    }
    if (file === this.#own) this.#end = start;
    // Written halfway, perhaps for good.
    if (rest.length > 0 && !(this.#follows && file === this.#own)) yield line(rest, start + rest.length - 1);
  }

  /** Where the last `count` lines of a file begin, looking backwards from its end. */
  async #findTail(file: string, count: number): Promise<{ offset: number; lines: number }> {
    const size = await this.#files.size(file);
    let lines = 0;
    let end = size;
    while (end > 0) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const chunk = await this.#files.read(file, start, end - start);
      for (let at = chunk.length - 1; at >= 0; at -= 1) {
        const offset = start + at;
        if (offset === size - 1) {
          lines += 1; // the last line, ended or not
          continue;
        }
        if (chunk[at] !== NEWLINE) continue;
        if (lines === count) return { offset: offset + 1, lines };
        lines += 1;
      }
      end = start;
    }
    return { offset: 0, lines };
  }
}
