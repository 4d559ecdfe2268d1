import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { waitFor } from './until.ts';

export const hasTmux: boolean = spawnSync('tmux', ['-V']).status === 0;

const dynamo = path.join(packageRoot, 'bin', 'dynamo');

/** A real terminal of a given size that runs one dynamo command: keys go in, what a user would see comes out. */
export class TmuxTerminal {
  readonly #server = `dynamo-test-${randomBytes(4).toString('hex')}`;

  constructor(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    size: { columns: number; rows: number },
    cwd: string = packageRoot,
  ) {
    const command = `${[dynamo, ...args].map(quote).join(' ')}; echo "EXIT=$?"; exec sleep 600`;
    const settings = Object.entries({ LC_ALL: 'C.UTF-8', ...env }).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
    const cells = ['-x', String(size.columns), '-y', String(size.rows)];
    this.#tmux('-f', '/dev/null', 'new-session', '-d', '-s', 'it', '-c', cwd, ...cells, ...settings, command);
    // A finished line mode must still be there to be read.
    this.#tmux('set-option', '-g', 'remain-on-exit', 'on');
  }

  /** What is on the screen now, without blanks at line ends. */
  screen(): string {
    return this.#tmux('capture-pane', '-p', '-t', 'it').replaceAll(/ +$/gm, '');
  }

  /** Also what has scrolled away. */
  everything(): string {
    return this.#tmux('capture-pane', '-p', '-J', '-S', '-', '-t', 'it').replaceAll(/ +$/gm, '');
  }

  /** tmux's names of keys (`Down`, `C-c`, `Escape`) or text. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', '-t', 'it', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-t', 'it', '-x', String(columns), '-y', String(rows));
  }

  /**
   * Waits until the screen matches; fails with the screen, at once when the command has ended without.
   * What is seen may be half drawn: two things of one frame are two patterns to wait for.
   */
  async shows(pattern: RegExp, deadlineMs = 60_000): Promise<string> {
    return this.#becomes(`${pattern}`, (screen) => pattern.test(screen), deadlineMs);
  }

  /** Waits until the screen matches one pattern and not the other. */
  async showsWithout(pattern: RegExp, absent: RegExp): Promise<string> {
    const isSo = (screen: string) => pattern.test(screen) && !absent.test(screen);
    return this.#becomes(`${pattern} without ${absent}`, isSo, 60_000);
  }

  async #becomes(what: string, test: (screen: string) => boolean, deadlineMs: number): Promise<string> {
    let last = '';
    const seen = await waitFor(
      `${what} on the screen`,
      () => {
        last = this.screen();
        if (test(last)) return 'yes';
        return /^EXIT=/m.test(last) ? 'ended' : undefined;
      },
      deadlineMs,
    ).catch((error: Error) => error.message);
    if (seen !== 'yes') throw new Error(`no ${what}: ${seen}\n${last}`);
    return last;
  }

  /** Waits for the end of the command; its exit status. */
  async exitStatus(deadlineMs = 60_000): Promise<number> {
    const text = await waitFor(
      'the command to end',
      () => /EXIT=(\d+)/.exec(this.everything()) ?? undefined,
      deadlineMs,
    );
    return Number(text[1]);
  }

  /** Process id of the command, a child of the terminal's shell. */
  commandPid(): number {
    const shell = this.#tmux('display-message', '-p', '-t', 'it', '#{pane_pid}').trim();
    const pid = Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim().split(' ')[0]);
    if (!pid) throw new Error('the command is not there yet, or not any more');
    return pid;
  }

  /** Closes the terminal under whatever runs in it. */
  hangUp(): void {
    spawnSync('tmux', ['-L', this.#server, 'kill-server']);
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#server, ...args], { encoding: 'utf8' });
  }
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
