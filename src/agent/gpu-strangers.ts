import { sleep } from '../base/abort.ts';
import { formatBytes } from '../base/bytes.ts';
import { DynamoError } from '../base/errors.ts';
import type { GpuProcess } from '../hosts/gpu-processes.ts';
import { commandOf, userOf } from '../hosts/process-facts.ts';
import { readStat, runIdOf } from '../supervise/identity.ts';

/**
 * Who a process on one of our GPUs is. `own`: of this gang, whose workers may share. `ending`: it is exiting, or of a run of dynamo's
 * that is over. `unseen`: not in our table of processes (another container). `stranger`: anybody else.
 */
export type Standing = 'own' | 'ending' | 'unseen' | 'stranger';

/** How long each may still be there: GPU memory takes a while to be given back, and nvidia-smi lists what has just ended. */
const PATIENCE_MS: Record<Exclude<Standing, 'own'>, number> = { stranger: 1_000, unseen: 5_000, ending: 20_000 };
const LOOK_MS = 500;

export interface GpuStrangersOptions {
  host: string;
  /** Who is on our GPUs now. */
  look(): Promise<GpuProcess[]>;
  judge(process: GpuProcess): Standing;
  /** Told once that it waits for those that are ending. */
  note(message: string): void;
  signal: AbortSignal;
  /** Monotonic, in milliseconds. */
  now?: () => number;
  pauseMs?: number;
}

/**
 * Resolves once nobody but us computes on the GPUs: with the first look where all is well. Those that are about to end are waited
 * for. Throws `GPU_UNAVAILABLE` with who is there.
 */
export async function refuseGpuStrangers(options: GpuStrangersOptions): Promise<void> {
  const { look, judge, signal, now = () => performance.now(), pauseMs = LOOK_MS } = options;
  const firstSeen = new Map<number, number>();
  let noted = false;
  for (;;) {
    const found = (await look()).flatMap((process) => {
      const standing = judge(process);
      return standing === 'own' ? [] : [{ ...process, standing }];
    });
    if (found.length === 0) return;
    const at = now();
    for (const { pid } of found) if (!firstSeen.has(pid)) firstSeen.set(pid, at);
    const staying = found.filter(({ pid, standing }) => at - firstSeen.get(pid)! >= PATIENCE_MS[standing]);
    if (staying.length > 0) throw gpuTaken(options.host, staying);
    const ending = found.find(({ standing }) => standing === 'ending');
    if (ending && !noted) {
      noted = true;
      options.note(`waiting for GPU ${ending.gpu}: pid ${ending.pid} is ending`);
    }
    await sleep(pauseMs, signal);
  }
}

export interface OwnRuns {
  /** Of every process of the gang. */
  runIds: ReadonlySet<string>;
  /** Whether a process of the gang computes on that GPU already. */
  usesGpu(gpu: number): boolean;
}

/** By the process table of this machine. */
export function standingOf({ gpu, pid }: Pick<GpuProcess, 'gpu' | 'pid'>, own: OwnRuns): Standing {
  const stat = readStat(pid);
  // Where the driver tells pids of another namespace than ours, our own cannot be told from others.
  if (stat === undefined) return own.usesGpu(gpu) ? 'own' : 'unseen';
  const runId = runIdOf(pid);
  if (runId !== undefined && own.runIds.has(runId)) return 'own';
  const isEnding = stat.exiting || stat.state === 'Z' || stat.state === 'X';
  return isEnding || runId !== undefined ? 'ending' : 'stranger';
}

function gpuTaken(host: string, who: readonly (GpuProcess & { standing: Standing })[]): DynamoError {
  const described = who.map((process) => ({ ...process, text: describe(process) }));
  const [first] = described;
  const where = host === 'local' ? '' : ` of ${host}`;
  return new DynamoError('GPU_UNAVAILABLE', `GPU ${first!.gpu}${where} is used by ${first!.text}`, {
    details: described.map(
      ({ gpu, text, memoryBytes }) =>
        `GPU ${gpu}${where}: ${text}${memoryBytes === null ? '' : `, ${formatBytes(memoryBytes)}`}`,
    ),
    hint: 'End it, wait with `dynamo serve --wait`, or leave that GPU out with `gpus` in the hosts file. DYNAMO_GPU_STRANGERS=allow shares GPUs with whoever is there.',
  });
}

function describe({ pid, command, standing }: GpuProcess & { standing: Standing }): string {
  if (standing === 'unseen') return `pid ${pid}, which cannot be seen from here (another container?): ${command}`;
  const ended = standing === 'ending' ? ', which is ending but does not let go' : '';
  const user = userOf(pid);
  return `pid ${pid}${user === undefined ? '' : ` of ${user}`}: ${commandOf(pid) || command}${ended}`;
}
