import { readFileSync } from 'node:fs';
import os from 'node:os';
import { findCommand } from './find-command.ts';
import { listGpus } from './gpus.ts';
import type { HostFacts } from './host-facts.ts';
import { listeningSockets } from './tcp-sockets.ts';

/** Facts of this machine. `commands`: programs to look for. Never fails: what cannot be known is left at its default. */
export async function collectLocalFacts(options: { commands?: readonly string[] } = {}): Promise<HostFacts> {
  return {
    name: 'local',
    address: '127.0.0.1',
    platform: process.platform,
    arch: process.arch,
    bootId: readLine('/proc/sys/kernel/random/boot_id') ?? null,
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    gpus: await listGpus(),
    listeningPorts: [...new Set(listeningSockets().map((socket) => socket.port))].sort((a, b) => a - b),
    ephemeralPorts: ephemeralRange(readLine('/proc/sys/net/ipv4/ip_local_port_range')),
    commands: Object.fromEntries((options.commands ?? []).map((name) => [name, findCommand(name) ?? null])),
  };
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
