import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { fileSize, lastLines } from '../supervise/log-tail.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Reads a growing file by whole lines. A file that shrank was rotated: it is read from its start. */
export class LogReader {
  readonly #file: string;
  #decoder = new StringDecoder('utf8');
  #offset = 0;
  #rest = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** The newest `count` lines; `next` goes on after them. */
  begin(count: number): string[] {
    this.#offset = fileSize(this.#file);
    return count === 0 ? [] : lastLines(this.#file, count);
  }

  /** Whole lines written since the last call, at most 1 MiB of them. */
  next(): string[] {
    const size = fileSize(this.#file);
    if (size < this.#offset) {
      this.#offset = 0;
      this.#rest = '';
      this.#decoder = new StringDecoder('utf8');
    }
    if (size === this.#offset) return [];
    const buffer = Buffer.alloc(Math.min(size - this.#offset, CHUNK_BYTES));
    const fd = openSync(this.#file, 'r');
    let read: number;
    try {
      read = readSync(fd, buffer, 0, buffer.length, this.#offset);
    } finally {
      closeSync(fd);
    }
    this.#offset += read;
    const lines = (this.#rest + this.#decoder.write(buffer.subarray(0, read))).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines;
  }
}
