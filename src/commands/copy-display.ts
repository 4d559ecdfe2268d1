import type { MultiBar, SingleBar } from 'cli-progress';
import { showsUtf8 } from '../base/locale.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { CopyProgress } from './copy-rows.ts';

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
/** More hosts than that share one bar. */
const MOST_BARS = 8;
const FRAMES_PER_SECOND = 5;
/** Where nothing can be drawn, a line this often. */
const LINE_MS = 5_000;

export interface CopyDisplayOptions {
  /** What bars are drawn on; undefined: lines, to `say`. */
  terminal: NodeJS.WriteStream | undefined;
  env: NodeJS.ProcessEnv;
  /** Prints a line. */
  say(text: string): void;
}

/** A terminal to draw on: standard output, else standard error, unless others are given. */
export function drawingTerminal(
  env: NodeJS.ProcessEnv,
  streams: readonly NodeJS.WriteStream[] = [process.stdout, process.stderr],
): NodeJS.WriteStream | undefined {
  return env['TERM'] === 'dumb' ? undefined : streams.find((stream) => stream.isTTY);
}

/**
 * How far dynamo is copied to hosts: a bar a host on a terminal, which goes when the copies are over, and lines elsewhere. Whatever else
 * is printed meanwhile goes through `around`.
 *
 *   nothing ─▶ a snapshot tells of a copy ─▶ bars (or lines) ─▶ none left: bars are wiped, one line says what was copied ─▶ nothing
 */
export class CopyDisplay {
  readonly #options: CopyDisplayOptions;
  readonly #progress = new CopyProgress();
  #library: typeof import('cli-progress') | undefined;
  #loading = false;
  #copying = false;
  #bars: { all: MultiBar; each: SingleBar[] } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CopyDisplayOptions) {
    this.#options = options;
  }

  take(snapshot: DeploymentSnapshot): void {
    const now = performance.now();
    const wasCopying = this.#copying;
    this.#copying = this.#progress.take(snapshot, now);
    if (this.#copying) this.#show();
    else if (wasCopying) this.#finish(now);
  }

  /** Prints something: above the bars where there are some. */
  around(print: () => void): void {
    this.#wipe();
    print();
    if (this.#copying) this.#show();
  }

  /** Nothing of it stays on the terminal. May be called twice. */
  close(): void {
    this.#copying = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#wipe();
  }

  #finish(now: number): void {
    this.close();
    const summary = this.#progress.summary(now);
    if (summary !== undefined) this.#options.say(summary);
  }

  #show(): void {
    const { terminal, say } = this.#options;
    if (!terminal) {
      this.#timer ??= setInterval(() => say(this.#progress.line()), LINE_MS);
      return;
    }
    if (!this.#library) {
      this.#load();
      return;
    }
    const rows = this.#rows(terminal).length;
    // All hosts in one bar where they have become too many for one each.
    if (this.#bars && rows < this.#bars.each.length) this.#wipe();
    this.#bars ??= { all: this.#open(this.#library, terminal), each: [] };
    const { all, each } = this.#bars;
    while (each.length < rows) {
      const index = each.length;
      each.push(all.create(1, 0, {}, { format: () => this.#rows(terminal)[index] ?? '' }));
    }
  }

  #rows(terminal: NodeJS.WriteStream): string[] {
    const { env } = this.#options;
    const signs = showsUtf8(env, process.platform) ? { full: '█', empty: '░' } : { full: '#', empty: '.' };
    const columns = (terminal.columns || DEFAULT_COLUMNS) - 1;
    const most = Math.min(MOST_BARS, (terminal.rows || DEFAULT_ROWS) - 2);
    return this.#progress.rows(performance.now(), { columns, most, signs });
  }

  #open({ MultiBar }: typeof import('cli-progress'), stream: NodeJS.WriteStream): MultiBar {
    return new MultiBar({
      ...{ stream, fps: FRAMES_PER_SECOND, clearOnComplete: true, linewrap: true, hideCursor: false },
      // Nothing is set on the terminal that a sudden end would leave set; signals are for whoever uses this.
      ...{ forceRedraw: true, gracefulExit: false },
    });
  }

  #load(): void {
    if (this.#loading) return;
    this.#loading = true;
    void import('cli-progress').then(({ default: library }) => {
      this.#library = library;
      if (this.#copying) this.#show();
    });
  }

  #wipe(): void {
    this.#bars?.all.stop();
    this.#bars = undefined;
  }
}
