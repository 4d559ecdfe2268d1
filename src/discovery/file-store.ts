import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, link, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { DynamoError, systemCode } from '../base/errors.ts';
import { FolderHints } from './folder-hints.ts';
import { encodeSegment, parseRecordKey } from './record-key.ts';
import {
  type HintSource,
  MAX_RECORD_BYTES,
  type RecordStore,
  UnreadableRecordError,
  unreachable,
} from './record-store.ts';

const SUFFIX = '.json';
const TEMPORARY_PREFIX = '.tmp-';
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Records as files `ROOT/DEPLOYMENT/KEY.json`, mode 0600. A write goes to a temporary file that is renamed, a creation to one
 * that is linked, so a reader sees a whole record or none. The folder is made again when it was deleted.
 */
export class FileStore implements RecordStore {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #strayAfterMs: number;
  /** Temporary files seen in the folder, and since when. */
  readonly #strays = new Map<string, number>();

  /** Temporary files of writers that died are removed once seen for `strayAfterMs`, by the clock `now`. */
  constructor(options: { root: string; deployment: string; strayAfterMs: number; now: () => number }) {
    this.#folder = path.join(options.root, encodeSegment(options.deployment));
    this.#strayAfterMs = options.strayAfterMs;
    this.#now = options.now;
  }

  /** Makes the folder. Throws `DISCOVERY_UNREACHABLE` when it cannot be made. */
  async open(): Promise<void> {
    await this.#attempt('open', () => mkdir(this.#folder, { recursive: true, mode: 0o700 }));
  }

  async keys(): Promise<string[]> {
    const names = await this.#attempt('list', async () => {
      try {
        return await readdir(this.#folder);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return [];
        throw error;
      }
    });
    await this.#sweep(names.filter((name) => name.startsWith(TEMPORARY_PREFIX)));
    return names.filter((name) => !name.startsWith('.')).map(keyOfFile);
  }

  async read(key: string): Promise<string | undefined> {
    try {
      return await readSmallFile(this.#fileOf(key));
    } catch (error) {
      if (error instanceof UnreadableRecordError) throw error;
      const code = systemCode(error);
      if (code === 'ENOENT') return undefined;
      if (code === 'ELOOP' || code === 'EMLINK') throw new UnreadableRecordError('it is a symbolic link');
      if (code === 'ENXIO') throw new UnreadableRecordError('it is not a regular file');
      const isFileAlone = (code === 'EACCES' || code === 'EPERM') && (await this.#isFolderUsable());
      if (isFileAlone) throw new UnreadableRecordError(`its permissions forbid reading it (${code})`);
      throw this.#explain('read', error);
    }
  }

  async write(key: string, text: string): Promise<void> {
    await this.#attempt('write', () =>
      this.#withTemporary(text, false, (temporary) => rename(temporary, this.#fileOf(key))),
    );
  }

  async create(key: string, text: string): Promise<boolean> {
    return this.#attempt('write', async () => {
      const isOurs = await this.#withTemporary(text, true, (temporary) => linkOnce(temporary, this.#fileOf(key)));
      if (isOurs) await syncFolder(this.#folder);
      return isOurs;
    });
  }

  async move(from: string, to: string): Promise<void> {
    await this.#attempt('write', () => rename(this.#fileOf(from), this.#fileOf(to)).catch(ignoreMissing));
  }

  async remove(key: string): Promise<void> {
    await this.#attempt('remove from', () => unlink(this.#fileOf(key)).catch(ignoreMissing));
  }

  /** The folder stays: without it nobody could tell an absent commit record from a lost one. */
  async clear(): Promise<void> {
    await this.#attempt('clear', async () => {
      const names = await readdir(this.#folder).catch(ignoreMissing);
      for (const name of names ?? []) {
        const isOurs = name.startsWith(TEMPORARY_PREFIX) || parseRecordKey(keyOfFile(name)) !== undefined;
        if (isOurs) await unlink(path.join(this.#folder, name)).catch(ignoreMissing);
      }
    });
  }

  async assertPresent(): Promise<void> {
    await this.#attempt('find', () => stat(this.#folder));
  }

  hint(onHint: (key: string | null) => void): HintSource {
    return new FolderHints(this.#folder, (name) => {
      if (name === null) onHint(null);
      else if (!name.startsWith('.')) onHint(keyOfFile(name));
    });
  }

  #fileOf(key: string): string {
    return path.join(this.#folder, `${key}${SUFFIX}`);
  }

  async #withTemporary<T>(text: string, isDurable: boolean, use: (temporary: string) => Promise<T>): Promise<T> {
    const temporary = path.join(this.#folder, `${TEMPORARY_PREFIX}${process.pid}-${randomBytes(6).toString('hex')}`);
    for (let attempt = 0; ; attempt += 1) {
      try {
        await writeNewFile(temporary, text, isDurable);
        const result = await use(temporary);
        if (isDurable) await rm(temporary, { force: true }).catch(() => {});
        return result;
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        if (systemCode(error) !== 'ENOENT' || attempt === 3) throw error;
        await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      }
    }
  }

  async #sweep(names: string[]): Promise<void> {
    const nowMs = this.#now();
    for (const name of this.#strays.keys()) if (!names.includes(name)) this.#strays.delete(name);
    for (const name of names) {
      const sinceMs = this.#strays.get(name) ?? nowMs;
      this.#strays.set(name, sinceMs);
      if (nowMs - sinceMs >= this.#strayAfterMs)
        await rm(path.join(this.#folder, name), { force: true }).catch(() => {});
    }
  }

  async #isFolderUsable(): Promise<boolean> {
    return access(this.#folder, constants.X_OK).then(
      () => true,
      () => false,
    );
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#explain(what, error);
    }
  }

  #explain(what: string, error: unknown): unknown {
    const code = systemCode(error);
    if (code === undefined || error instanceof DynamoError) return error;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new DynamoError('DISK_FULL', `no space left in the discovery folder ${this.#folder}`, { cause: error });
    }
    return unreachable(`cannot ${what} the discovery folder ${this.#folder}: ${code}`, error);
  }
}

/** The key of a file; a name that is no key's gets a form that no key has. */
function keyOfFile(name: string): string {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : `file:${name}`;
}

/** Opens without following links or waiting for a pipe's writer: anyone may have put anything there. */
async function readSmallFile(file: string): Promise<string> {
  const handle = await open(file, READ_FLAGS);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new UnreadableRecordError('it is not a regular file');
    if (stats.size > MAX_RECORD_BYTES) throw new UnreadableRecordError(`it has ${stats.size} bytes`);
    const bytes = Buffer.allocUnsafe(stats.size);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.toString('utf8', 0, length);
  } finally {
    await handle.close();
  }
}

async function writeNewFile(file: string, text: string, isDurable: boolean): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    if (isDurable) await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Links `temporary` as `file` unless that exists. A network file system may report a link it made as failed: the count tells. */
async function linkOnce(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const isLinked = await stat(temporary).then(
      (stats) => stats.nlink === 2,
      () => false,
    );
    if (isLinked) return true;
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}
