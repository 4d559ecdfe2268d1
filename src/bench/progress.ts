import { showsUtf8 } from '../base/locale.ts';
import { LiveStats } from './live-stats.ts';
import { type ProgressState, progressLine } from './progress-line.ts';
import type { BenchProgress } from './run-bench.ts';

/** Shows how far a run is. */
export interface ProgressView {
  update(progress: BenchProgress): void;
  stop(): void;
}

const DEFAULT_COLUMNS = 80;
const REDRAW_MS = 200;
/** A file or a CI log gets a line this often. */
const LINE_MS = 5_000;

/** On a terminal one line that is drawn anew, else a line every few seconds. `stop` may be called twice. */
export async function openProgress(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Promise<ProgressView> {
  const state = new RunningState();
  return stream.isTTY && env['TERM'] !== 'dumb' ? openBar(stream, env, state) : openLines(stream, state);
}

/** Figures of the current phase, and how long it has run. */
class RunningState {
  #phase: BenchProgress['phase'] | undefined;
  #stats = new LiveStats();
  #total: number | undefined;
  #beganMs = 0;

  add({ phase, total, record }: BenchProgress): void {
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#stats = new LiveStats();
      this.#beganMs = record.startMs;
    }
    this.#total = total;
    this.#stats.add(record);
  }

  /** Undefined before the first answer. */
  now(): ProgressState | undefined {
    const nowMs = performance.now();
    if (this.#phase === undefined) return undefined;
    return { ...this.#stats.figures(nowMs), phase: this.#phase, total: this.#total, elapsedMs: nowMs - this.#beganMs };
  }
}

async function openBar(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv, state: RunningState): Promise<ProgressView> {
  const { default: cliProgress } = await import('cli-progress');
  const signs = showsUtf8(env, process.platform) ? { full: '█', empty: '░' } : { full: '#', empty: '.' };
  const draw = (): string => {
    const now = state.now();
    return now ? progressLine(now, (stream.columns ?? DEFAULT_COLUMNS) - 1, signs) : 'waiting for the first answer';
  };
  const bar = new cliProgress.SingleBar({
    stream,
    format: draw,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  bar.start(1, 0);
  // Rates fall while nothing ends, which no update would show.
  const timer = setInterval(() => bar.render(), REDRAW_MS);
  return {
    update: (progress) => state.add(progress),
    stop() {
      clearInterval(timer);
      bar.stop();
    },
  };
}

function openLines(stream: NodeJS.WriteStream, state: RunningState): ProgressView {
  const timer = setInterval(() => {
    const now = state.now();
    if (now) stream.write(`${progressLine(now, Number.POSITIVE_INFINITY, null)}\n`);
  }, LINE_MS);
  return {
    update: (progress) => state.add(progress),
    stop: () => clearInterval(timer),
  };
}
