import type { GpuFacts, GpuLock, GpuUser } from '../host-facts.ts';

const MIB = 1024 ** 2;

/**
 * GPUs from `nvidia-smi --query-gpu=index,uuid,pci.bus_id,memory.total,memory.used,driver_version,name`
 * (csv, no header, no units). Lines that are none (driver messages) are skipped. `numaLines`: `0000:19:00.0|0`.
 */
export function parseGpus(
  lines: readonly string[],
  numaLines: readonly string[] = [],
): { gpus: GpuFacts[]; driver: string | null } {
  const numaByBus = new Map(numaLines.map((line) => line.split('|') as [string, string]));
  const gpus: GpuFacts[] = [];
  let driver: string | null = null;
  for (const line of lines) {
    const [index = '', uuid = '', bus = '', total, used, version, ...name] = line
      .split(',')
      .map((field) => field.trim());
    if (!/^\d+$/.test(index) || name.length === 0) continue;
    driver ??= version === undefined || version.startsWith('[') ? null : version;
    gpus.push({
      index: Number(index),
      uuid,
      name: name.join(', '),
      memoryBytes: mebibytes(total) ?? 0,
      memoryUsedBytes: mebibytes(used) ?? null,
      pciBusId: bus,
      // nvidia-smi writes eight digits of the domain, sysfs four.
      numaNode: numaNode(numaByBus.get(bus.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, ''))),
    });
  }
  return { gpus: gpus.sort((a, b) => a.index - b.index), driver };
}

/** Processes on GPUs, from the probe's `uuid|pid|MiB|owner|ours|name`. */
export function parseGpuUsers(lines: readonly string[], gpus: readonly GpuFacts[]): GpuUser[] {
  return lines.flatMap((line) => {
    const [uuid = '', pid = '', memory, owner = '', ours, ...name] = line.split('|').map((field) => field.trim());
    if (!/^\d+$/.test(pid)) return [];
    return [
      {
        gpu: gpus.find((gpu) => gpu.uuid === uuid)?.index ?? null,
        pid: Number(pid),
        // `UNKNOWN` is what stat says of a user without a name.
        user: owner === '' || owner === 'UNKNOWN' ? null : owner,
        memoryBytes: mebibytes(memory) ?? null,
        command: name.join('|'),
        ours: Number(ours) > 0,
      },
    ];
  });
}

/** GPUs that deployments hold, from the probe's `index|holder`. */
export function parseGpuLocks(lines: readonly string[]): GpuLock[] {
  return lines.flatMap((line) => {
    const [index = '', ...holder] = line.split('|');
    return /^\d+$/.test(index) ? [{ gpu: Number(index), holder: holder.join('|').trim() || 'another deployment' }] : [];
  });
}

/** Sysfs says -1 on machines with one node. */
export function numaNode(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

function mebibytes(field: string | undefined): number | undefined {
  // Some boards answer `[N/A]`.
  return field !== undefined && /^\d+$/.test(field) ? Number(field) * MIB : undefined;
}
