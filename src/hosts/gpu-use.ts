import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { anySignal, pause } from '../base/abort.ts';
import { type Backoff, backoffDelay } from '../base/backoff.ts';
import { findCommand } from './find-command.ts';

/** How a GPU is used right now. Null where the board does not say. */
export interface GpuUse {
  /** NVML order, as in plans. */
  index: number;
  name: string;
  /** Percent of the last period in which a kernel ran. */
  utilisation: number | null;
  memoryUsedBytes: number | null;
  memoryBytes: number | null;
  powerW: number | null;
  temperatureC: number | null;
}

const FIELDS = 'index,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu,name';
const PERIOD_S = 2;
/** So long after a line all is told: mostly those of one round, which come together. */
const ROUND_MS = 150;
/** Without a line for this long it hangs in the driver. */
const SILENCE_MS = 20_000;
const BACKOFF: Backoff = { initialMs: 2_000, maxMs: 60_000, factor: 2 };
const MIB = 1024 ** 2;

export interface GpuWatchOptions {
  /** Ends the watch and its child. */
  signal: AbortSignal;
  /** All GPUs after each round, by index, and after a part of one that is slow; none while nvidia-smi does not run. */
  onUse: (gpus: GpuUse[]) => void;
  random: () => number;
  /** The program; the one on PATH. */
  program?: string | undefined;
  silenceMs?: number;
  backoff?: Backoff;
}

/**
 * Follows the use of all GPUs of this machine with one long-running nvidia-smi. Resolves when the signal aborts, at once where there is
 * no nvidia-smi; never rejects.
 *
 *   run ─▶ (ends | silent too long) ─▶ no GPUs known ─▶ wait, longer each time it brought nothing ─▶ run
 */
export async function watchGpus(options: GpuWatchOptions): Promise<void> {
  const program = options.program ?? findCommand('nvidia-smi');
  if (program === undefined) return;
  const { signal } = options;
  let attempt = 0;
  while (!signal.aborted) {
    const useful = await follow(program, options);
    if (signal.aborted) return;
    options.onUse([]);
    attempt = useful ? 0 : attempt + 1;
    await pause(backoffDelay(options.backoff ?? BACKOFF, attempt, options.random()), signal);
  }
}

/** Runs nvidia-smi until it ends. Resolves with whether it told of any GPU. */
async function follow(program: string, options: GpuWatchOptions): Promise<boolean> {
  const args = [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits', '-l', String(PERIOD_S)];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const silent = new AbortController();
  const end = anySignal(options.signal, silent.signal);
  const kill = () => child.kill('SIGKILL');
  end.addEventListener('abort', kill, { once: true });
  let silence = setTimeout(() => silent.abort(), options.silenceMs ?? SILENCE_MS);
  let round: NodeJS.Timeout | undefined;
  /** The newest line of each. One that takes its time is still there meanwhile; one that a whole round lacks is not. */
  const gpus = new Map<number, GpuUse>();
  const ofRound = new Set<number>();
  let useful = false;
  const tell = () => {
    round = undefined;
    const complete = [...gpus.values()].sort((a, b) => a.index - b.index);
    if (!options.signal.aborted) options.onUse(complete);
  };
  onLines(child, (line) => {
    clearTimeout(silence);
    silence = setTimeout(() => silent.abort(), options.silenceMs ?? SILENCE_MS);
    const use = parseGpuUse(line);
    if (!use) return;
    useful = true;
    if (ofRound.has(use.index)) {
      for (const index of gpus.keys()) if (!ofRound.has(index)) gpus.delete(index);
      ofRound.clear();
    }
    ofRound.add(use.index);
    gpus.set(use.index, use);
    round ??= setTimeout(tell, ROUND_MS);
  });
  try {
    await once(child, 'close');
  } catch {
    // It could not be started: tried again later, like one that fails.
  } finally {
    clearTimeout(silence);
    clearTimeout(round);
    end.removeEventListener('abort', kill);
  }
  return useful;
}

function onLines(child: ChildProcess, take: (line: string) => void): void {
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
}

/** Reads a line of the query above; undefined for one that is none. */
export function parseGpuUse(line: string): GpuUse | undefined {
  const [index = '', use, used, total, power, temperature, ...name] = line.split(',').map((field) => field.trim());
  if (!/^\d+$/.test(index) || name.length === 0) return undefined;
  return {
    index: Number(index),
    name: name.join(', '),
    utilisation: figure(use),
    memoryUsedBytes: bytes(used),
    memoryBytes: bytes(total),
    powerW: figure(power),
    temperatureC: figure(temperature),
  };
}

/** `[N/A]` and `[Not Supported]` are no figures. */
const figure = (field: string | undefined): number | null =>
  field !== undefined && /^\d+(\.\d+)?$/.test(field) ? Number(field) : null;

function bytes(field: string | undefined): number | null {
  const mebibytes = figure(field);
  return mebibytes === null ? null : mebibytes * MIB;
}

/** Whether two readings differ by more than what comes and goes under an even load. */
export function differs(before: readonly GpuUse[], after: readonly GpuUse[]): boolean {
  if (before.length !== after.length) return true;
  return after.some((gpu, at) => {
    const old = before[at]!;
    return (
      old.index !== gpu.index ||
      apart(old.utilisation, gpu.utilisation, 5) ||
      apart(old.memoryUsedBytes, gpu.memoryUsedBytes, (gpu.memoryBytes ?? 0) / 200) ||
      apart(old.powerW, gpu.powerW, 20) ||
      apart(old.temperatureC, gpu.temperatureC, 2)
    );
  });
}

function apart(a: number | null, b: number | null, by: number): boolean {
  return a === null || b === null ? a !== b : Math.abs(a - b) > by;
}
