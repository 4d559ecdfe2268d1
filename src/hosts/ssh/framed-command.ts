import { randomBytes } from 'node:crypto';

/**
 * One command as it goes over an SSH channel. The command line that the login shell sees is the same for every command but for a
 * length; argv and environment follow on standard input, where nobody else can read them and no shell but POSIX sh interprets
 * them. The answer begins after a nonce, so that whatever the login shell's start files print is cut off.
 */
export interface FramedCommand {
  /** For the SSH exec request; works in sh, bash, zsh, csh and fish. */
  line: string;
  /** Goes to standard input first; the command's own input may follow. */
  script: Buffer;
  /** What stands alone on a line before the answer, on both streams. */
  nonce: string;
}

export function frameCommand(argv: readonly string[], env: Record<string, string> = {}): FramedCommand {
  const nonce = `dynamo-${randomBytes(12).toString('hex')}`;
  const exports = Object.entries(env).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Error(`${name} cannot name a variable`);
    return `export ${name}=${quote(value)}\n`;
  });
  const script = Buffer.from(
    `printf '\\n%s\\n' ${nonce}\nprintf '\\n%s\\n' ${nonce} >&2\n${exports.join('')}exec ${argv.map(quote).join(' ')}\n`,
  );
  // dd takes exactly that many bytes; a shell reading a script from a pipe would take more.
  return { line: `exec /bin/sh -c 'eval "$(dd bs=1 count=${script.length} 2>/dev/null)"'`, script, nonce };
}

/** A word that POSIX sh takes literally. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Cuts everything up to and with the nonce off a stream. */
export class FrameReader {
  readonly #mark: Buffer;
  #before: Buffer | undefined = Buffer.alloc(0);

  constructor(nonce: string) {
    this.#mark = Buffer.from(`\n${nonce}\n`);
  }

  /** Whether the answer has begun. */
  get begun(): boolean {
    return this.#before === undefined;
  }

  /** What came before the answer, while it has not begun. */
  get before(): string {
    return this.#before?.toString() ?? '';
  }

  /** The part of a chunk that belongs to the answer. */
  push(chunk: Buffer): Buffer {
    if (this.#before === undefined) return chunk;
    const all = Buffer.concat([this.#before, chunk]);
    const at = all.indexOf(this.#mark);
    if (at >= 0) {
      this.#before = undefined;
      return all.subarray(at + this.#mark.length);
    }
    // A start file may print for ever; the mark may be split over chunks.
    this.#before = all.length > 65_536 ? all.subarray(-4_096) : all;
    return Buffer.alloc(0);
  }
}
