import { findCommand } from './find-command.ts';
import { listGpus } from './gpus.ts';

/** A process that computes on a GPU of this machine. */
export interface GpuProcess {
  /** NVML order, as in plans. */
  gpu: number;
  pid: number;
  memoryBytes: number | null;
  /** As nvidia-smi has it: often the path of the program alone. */
  command: string;
}

/** What nvidia-smi is asked of the processes that compute on GPUs, and how: a line a process, fields between commas. */
export const COMPUTE_APPS = [
  '--query-compute-apps=gpu_uuid,pid,used_memory,process_name',
  '--format=csv,noheader,nounits',
] as const;
/** How a line of that answer begins; others are messages of the driver. */
export const COMPUTE_APP = '^(GPU|MIG)-';
const isCompute = new RegExp(COMPUTE_APP);
const MIB = 1024 ** 2;
/** A daemon of the driver's that is on every GPU that several processes share. */
export const isDriverDaemon = (command: string): boolean => /(^|\/)nvidia-cuda-mps-(server|control)$/.test(command);

/**
 * Who computes on these GPUs: one call of nvidia-smi, a second only when somebody does. None where there is no nvidia-smi; `problem`
 * when it cannot say. Never rejects.
 */
export async function listGpuProcesses(
  gpus: readonly number[],
  options: { timeoutMs?: number; program?: string | undefined } = {},
): Promise<{ processes: GpuProcess[]; problem: string | null }> {
  const { timeoutMs = 10_000, program = findCommand('nvidia-smi') } = options;
  if (program === undefined || gpus.length === 0) return { processes: [], problem: null };
  const { execa } = await import('execa');
  const { failed, timedOut, exitCode, stdout } = await execa(program, ['-i', gpus.join(','), ...COMPUTE_APPS], {
    reject: false,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    stdin: 'ignore',
  });
  if (timedOut) return { processes: [], problem: `nvidia-smi did not answer within ${timeoutMs / 1000} s` };
  if (failed) return { processes: [], problem: `nvidia-smi failed with status ${exitCode ?? 'unknown'}` };
  const found = parseGpuProcesses(stdout);
  if (found.length === 0) return { processes: [], problem: null };
  const known = await listGpus(timeoutMs);
  const processes = found.flatMap(({ uuid, ...rest }) => {
    // A slice of a GPU has a UUID of its own: it is on one of those asked for.
    const gpu = known.find((entry) => entry.uuid === uuid)?.index ?? gpus[0]!;
    return gpus.includes(gpu) ? [{ gpu, ...rest }] : [];
  });
  return { processes, problem: null };
}

/** Reads the CSV of the query above; lines that are none (driver messages) and the driver's own daemons are skipped. */
export function parseGpuProcesses(text: string): (Omit<GpuProcess, 'gpu'> & { uuid: string })[] {
  return text.split('\n').flatMap((line) => {
    const [uuid = '', pid = '', memory = '', ...name] = line.split(',').map((field) => field.trim());
    const command = name.join(', ');
    if (!isCompute.test(uuid) || !/^\d+$/.test(pid) || isDriverDaemon(command)) return [];
    return [{ uuid, pid: Number(pid), memoryBytes: /^\d+$/.test(memory) ? Number(memory) * MIB : null, command }];
  });
}
