import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { DynamoError, systemCode } from '../../base/errors.ts';
import { indexFile, type LogMark, parseMarks } from '../../supervise/log-index.ts';

/** The log folder of a deployment, wherever it is. */
export interface LogFiles {
  /** Names of all files. */
  list(): Promise<string[]>;
  /** Length of a file in bytes; 0 when there is none. */
  size(file: string): Promise<number>;
  /** Up to `length` bytes from `offset` on; fewer at the end. */
  read(file: string, offset: number, length: number): Promise<Buffer>;
  /** When the bytes of a log arrived. */
  marks(file: string): Promise<LogMark[]>;
}

/** A log folder of this machine. */
export class LocalLogFiles implements LogFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<string[]> {
    try {
      return readdirSync(this.#folder);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw new DynamoError('STATE_UNREADABLE', `cannot read ${this.#folder}: ${systemCode(error)}`, { cause: error });
    }
  }

  async size(file: string): Promise<number> {
    return this.#with(file, (fd) => fstatSync(fd).size) ?? 0;
  }

  async read(file: string, offset: number, length: number): Promise<Buffer> {
    const bytes = this.#with(file, (fd) => {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, fstatSync(fd).size - offset)));
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
    });
    return bytes ?? Buffer.alloc(0);
  }

  async marks(file: string): Promise<LogMark[]> {
    try {
      return parseMarks(readFileSync(path.join(this.#folder, indexFile(file)), 'utf8'));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #with<T>(file: string, action: (fd: number) => T): T | undefined {
    let fd: number;
    try {
      fd = openSync(path.join(this.#folder, file), 'r');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw new DynamoError('STATE_UNREADABLE', `cannot read ${file}: ${systemCode(error)}`, { cause: error });
    }
    try {
      return action(fd);
    } finally {
      closeSync(fd);
    }
  }
}
