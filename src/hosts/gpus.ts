import { findCommand } from './find-command.ts';
import type { GpuFacts } from './host-facts.ts';

const QUERY = 'index,uuid,memory.total,memory.used,name';
const MIB = 1024 ** 2;

/** GPUs of this machine as `nvidia-smi` lists them; none when it is missing, fails or does not answer in `timeoutMs`. */
export async function listGpus(timeoutMs = 10_000): Promise<GpuFacts[]> {
  const program = findCommand('nvidia-smi');
  if (program === undefined) return [];
  const args = [`--query-gpu=${QUERY}`, '--format=csv,noheader,nounits'];
  const { execa } = await import('execa');
  const { failed, stdout } = await execa(program, args, { reject: false, timeout: timeoutMs, killSignal: 'SIGKILL' });
  return parseGpuList(failed ? '' : stdout);
}

/** Reads the CSV of the query above; lines that are none (driver messages) are skipped. */
export function parseGpuList(text: string): GpuFacts[] {
  const gpus: GpuFacts[] = [];
  for (const line of text.split('\n')) {
    const [index, uuid, total, used, ...name] = line.split(',').map((field) => field.trim());
    if (!/^\d+$/.test(index ?? '') || name.length === 0) continue;
    gpus.push({
      index: Number(index),
      uuid: uuid ?? '',
      name: name.join(', '),
      memoryBytes: mebibytes(total) ?? 0,
      memoryUsedBytes: mebibytes(used) ?? null,
    });
  }
  return gpus.sort((a, b) => a.index - b.index);
}

function mebibytes(field: string | undefined): number | undefined {
  // Some boards answer `[N/A]`.
  return field !== undefined && /^\d+$/.test(field) ? Number(field) * MIB : undefined;
}
