/**
 * Reads server-sent events (WHATWG HTML 9.2.6) from body pieces of any size and hands over the data of each event with the time of the
 * socket read that completed it. LF and CRLF line ends; fields other than `data` and comments are skipped.
 */
export class SseTimingParser {
  readonly #onData: (data: string, atMs: number) => void;
  #rest: Buffer | undefined;
  #data: string | undefined;

  constructor(onData: (data: string, atMs: number) => void) {
    this.#onData = onData;
  }

  push(piece: Buffer, atMs: number): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, piece]) : piece;
    this.#rest = undefined;
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, from);
      if (end === -1) break;
      this.#line(bytes, from, end > from && bytes[end - 1] === 0x0d ? end - 1 : end, atMs);
      from = end + 1;
    }
    if (from < bytes.length) this.#rest = Buffer.from(bytes.subarray(from));
  }

  #line(bytes: Buffer, from: number, end: number, atMs: number): void {
    if (from === end) {
      if (this.#data !== undefined) this.#onData(this.#data, atMs);
      this.#data = undefined;
      return;
    }
    // 'data:' without making a string of lines that are none
    if (bytes[from] !== 0x64 || bytes.toString('latin1', from, from + 5) !== 'data:') return;
    const value = bytes.toString('utf8', bytes[from + 5] === 0x20 ? from + 6 : from + 5, end);
    this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
  }
}
