import { readFileSync } from 'node:fs';
import os from 'node:os';
import { GPU_HOLDERS, SHELL_HELPERS } from './facts/gpu-holders-script.ts';
import { parseGpuLocks, parseGpuUsers } from './facts/gpu-lines.ts';
import { readSections } from './facts/sections.ts';
import { findCommand } from './find-command.ts';
import { listGpus } from './gpus.ts';
import type { HostFacts } from './host-facts.ts';
import { listeningSockets } from './tcp-sockets.ts';

/** A driver that hangs is cut short by the script itself. */
const HOLDERS_TIMEOUT_MS = 25_000;

/** Facts of this machine. `commands`: programs to look for. Never fails: what cannot be known is left at its default. */
export async function collectLocalFacts(options: { commands?: readonly string[] } = {}): Promise<HostFacts> {
  const [gpus, holders] = await Promise.all([listGpus(), askHolders()]);
  return {
    name: 'local',
    address: '127.0.0.1',
    platform: process.platform,
    arch: process.arch,
    bootId: readLine('/proc/sys/kernel/random/boot_id') ?? null,
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    gpus,
    ...holders(gpus),
    listeningPorts: [...new Set(listeningSockets().map((socket) => socket.port))].sort((a, b) => a - b),
    ephemeralPorts: ephemeralRange(readLine('/proc/sys/net/ipv4/ip_local_port_range')),
    commands: Object.fromEntries((options.commands ?? []).map((name) => [name, findCommand(name) ?? null])),
  };
}

/** Who has the GPUs, with the same script as elsewhere; nothing on a machine without any. */
async function askHolders(): Promise<(gpus: HostFacts['gpus']) => Pick<HostFacts, 'gpuUsers' | 'gpuLocks'>> {
  if (findCommand('nvidia-smi') === undefined) return () => ({});
  const { execa } = await import('execa');
  const { stdout } = await execa('sh', ['-s'], {
    ...{
      input: `LC_ALL=C; export LC_ALL\n${SHELL_HELPERS}${GPU_HOLDERS}\ngpu_apps </dev/null; gpu_locks </dev/null\n`,
    },
    ...{ reject: false, timeout: HOLDERS_TIMEOUT_MS, killSignal: 'SIGKILL' },
  });
  const sections = readSections(stdout);
  return (gpus) => ({
    gpuUsers: parseGpuUsers(sections.lines('gpu-apps'), gpus),
    gpuLocks: parseGpuLocks(sections.lines('gpu-locks')),
  });
}

/** Linux writes `32768\t60999`. Elsewhere IANA's dynamic range, which macOS uses. */
export function ephemeralRange(line: string | undefined): HostFacts['ephemeralPorts'] {
  const [first, last] = (line ?? '').split(/\s+/).map(Number);
  return first && last ? { first, last } : { first: 49_152, last: 65_535 };
}

function readLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
