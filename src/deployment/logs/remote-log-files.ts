import path from 'node:path';
import { DynamoError } from '../../base/errors.ts';
import type { HostTransport } from '../../hosts/host-transport.ts';
import { indexFile, type LogMark, parseMarks } from '../../supervise/log-index.ts';
import type { LogFiles } from './log-files.ts';

/** Lengths of all files are asked at once and believed for so long: following many logs is one question a round. */
const FRESH_MS = 400;
const TIMEOUT_MS = 20_000;

/** Prints `<bytes> <name>` of each file of a folder; nothing where there is no folder. */
const LIST =
  'cd "$1" 2>/dev/null || exit 0; for file in *; do [ -f "$file" ] && printf "%s %s\\n" "$(wc -c < "$file")" "$file"; done; exit 0';
/** Prints so many bytes of a file from an offset on; nothing where there is no file. */
const READ = '[ -f "$1" ] || exit 0; tail -c "+$2" "$1" | head -c "$3"';

/** The log folder of a deployment on another host. It is read without the agent there: logs matter most when that is gone. */
export class RemoteLogFiles implements LogFiles {
  readonly #transport: HostTransport;
  readonly #folder: string;
  #sizes: { atMs: number; known: Promise<Map<string, number>> } | undefined;

  constructor(transport: HostTransport, folder: string) {
    this.#transport = transport;
    this.#folder = folder;
  }

  async list(): Promise<string[]> {
    return [...(await this.#all()).keys()];
  }

  async size(file: string): Promise<number> {
    return (await this.#all()).get(file) ?? 0;
  }

  async read(file: string, offset: number, length: number): Promise<Buffer> {
    const known = await this.size(file);
    // What a round of questions has not seen yet is left for the next.
    const wanted = Math.min(length, known - offset);
    if (wanted <= 0) return Buffer.alloc(0);
    return this.#run(READ, path.posix.join(this.#folder, file), String(offset + 1), String(wanted));
  }

  async marks(file: string): Promise<LogMark[]> {
    const index = indexFile(file);
    return parseMarks((await this.read(index, 0, await this.size(index))).toString('utf8'));
  }

  #all(): Promise<Map<string, number>> {
    const now = performance.now();
    if (!this.#sizes || now - this.#sizes.atMs > FRESH_MS) {
      this.#sizes = { atMs: now, known: this.#run(LIST, this.#folder).then(parseSizes) };
    }
    return this.#sizes.known;
  }

  async #run(script: string, ...args: string[]): Promise<Buffer> {
    const argv = ['sh', '-c', script, 'sh', ...args];
    const { code, stdout, stderr } = await this.#transport.exec(argv, { timeoutMs: TIMEOUT_MS });
    if (code === 0) return stdout;
    throw new DynamoError('STATE_UNREADABLE', `cannot read logs on ${this.#transport.host}: ${stderr.trim()}`);
  }
}

function parseSizes(stdout: Buffer): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const line of stdout.toString('utf8').split('\n')) {
    const match = /^\s*(\d+) (.+)$/.exec(line);
    if (match) sizes.set(match[2]!, Number(match[1]));
  }
  return sizes;
}
