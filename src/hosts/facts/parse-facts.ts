import type { HostEntry } from '../host-entry.ts';
import type { GpuFacts, HostFacts, NicFacts, RdmaFacts } from '../host-facts.ts';
import { ephemeralRange } from '../local-facts.ts';
import { parseSocketTable } from '../tcp-sockets.ts';
import { clockSkew, parseDate } from './clock.ts';
import { parseEngines } from './engine-lines.ts';
import { parseGpuLocks, parseGpus, parseGpuUsers } from './gpu-lines.ts';
import { parseDefaultNic, parseNics, parseRdma } from './network-lines.ts';
import type { ProbeOutput } from './sections.ts';
import { nvlinksOf, parseTopology } from './topology.ts';

/** When the probe was asked and had answered, by the clock of the asker, in milliseconds since 1970. */
export interface AskedAt {
  sentAt: number;
  receivedAt: number;
}

/** What was found out earlier in the same boot and does not change. */
export type BootFacts = Pick<HostFacts, 'bootId' | 'nvlink' | 'gpuPaths' | 'rdma' | 'gpus'>;

/** What the probe printed → facts, with the limits of the hosts file applied. Pure. */
export function parseFacts(output: ProbeOutput, entry: HostEntry, asked: AskedAt, known?: BootFacts): HostFacts {
  const basics = new Map(output.lines('basics').map(splitWord));
  const { gpus, driver } = parseGpus(output.lines('gpus'), output.lines('gpu-numa'));
  const allowed = gpus.filter((gpu) => entry.gpus === undefined || entry.gpus.includes(gpu.index));
  const nics = parseNics(output.lines('interfaces'), output.lines('addresses'));
  const boot = output.lines('boot')[0] ?? null;
  const sshAddress = (basics.get('ssh') ?? '').split(' ')[2] ?? null;
  return {
    name: entry.name,
    address: entry.dataAddress ?? sshAddress ?? (entry.local ? '127.0.0.1' : entry.address),
    platform: (basics.get('system') ?? 'linux').toLowerCase(),
    arch: nodeArch(basics.get('arch') ?? ''),
    bootId: boot,
    cpus: wholeNumber(basics.get('cpus')) || 1,
    memoryBytes: kibibytes(basics.get('MemTotal:')) ?? 0,
    memoryAvailableBytes: kibibytes(basics.get('MemAvailable:')) ?? 0,
    gpus: allowed,
    listeningPorts: listeningPorts(output.lines('listening')),
    ephemeralPorts: ephemeralRange(output.lines('ephemeral')[0]),
    commands: Object.fromEntries(
      output.lines('programs').map((line) => {
        const [name = '', path = ''] = line.split('|');
        return [name, path === '' ? null : path];
      }),
    ),
    takenAt: new Date(asked.receivedAt).toISOString(),
    hostname: basics.get('hostname') ?? '',
    os: basics.get('os') ?? '',
    kernel: basics.get('kernel') ?? '',
    glibc: /^glibc (\S+)/.exec(basics.get('libc') ?? '')?.[1] ?? null,
    user: basics.get('user') ?? '',
    home: basics.get('home') ?? '',
    shell: basics.get('shell') || null,
    node: nodeOf(output.lines('node')[0]),
    labels: entry.labels,
    numa: parseNuma(output.lines('numa')),
    nics: usableNics(nics, parseRdma(output.lines('rdma')), entry, sshAddress),
    ...gpuLinks(output, allowed, entry, known?.bootId === boot ? known : undefined),
    driver,
    gpuProblem: gpuProblem(output),
    gpuUsers: parseGpuUsers(output.lines('gpu-apps'), gpus),
    gpuLocks: parseGpuLocks(output.lines('gpu-locks')),
    engines: parseEngines(output.lines('engines')),
    freeDisk: parseDisks(output.lines('disks')),
    ...clockOf(output, asked),
    limits: {
      openFiles: wholeNumber(basics.get('files')),
      // `ulimit -l` counts KiB.
      lockedMemoryBytes: kibibytes(basics.get('locked')) ?? null,
    },
    sshAddress,
    defaultNic: parseDefaultNic(output.lines('routes')),
  };
}

/** Those that the hosts file allows. Where none of them has an address, also the one that the others must reach it by. */
function usableNics(
  nics: readonly NicFacts[],
  rdma: readonly RdmaFacts[],
  { nics: named, dataAddress }: HostEntry,
  sshAddress: string | null,
): NicFacts[] {
  if (named === undefined) return [...nics];
  const has = (nic: NicFacts, address: string | null): boolean => nic.addresses.some((one) => one.address === address);
  const isNamed = (nic: NicFacts): boolean => named.includes(nic.name);
  const ofNamedDevice = (nic: NicFacts): boolean =>
    rdma.some((port) => named.includes(port.device) && port.netdev === nic.name);
  if (dataAddress !== undefined) return nics.filter((nic) => isNamed(nic) || has(nic, dataAddress));
  const addressed = [isNamed, ofNamedDevice].find((rule) => nics.some((nic) => rule(nic) && nic.addresses.length > 0));
  if (addressed === isNamed) return nics.filter(isNamed);
  return nics.filter((nic) => isNamed(nic) || (addressed ? ofNamedDevice(nic) : has(nic, sshAddress)));
}

/** Ways between the GPUs that may be used, and from RDMA devices to them. */
function gpuLinks(
  output: ProbeOutput,
  gpus: readonly GpuFacts[],
  entry: HostEntry,
  known: BootFacts | undefined,
): Pick<HostFacts, 'rdma' | 'nvlink' | 'gpuPaths'> {
  const ports = parseRdma(output.lines('rdma')).filter(
    (port) => entry.nics === undefined || [port.device, port.netdev].some((name) => entry.nics?.includes(name ?? '')),
  );
  const sameGpus = known !== undefined && gpus.every((gpu, index) => known.gpus[index]?.uuid === gpu.uuid);
  if (!output.has('topology') && sameGpus && known.gpus.length === gpus.length) {
    const rdma = ports.map((port) => {
      const gpuPaths = known.rdma?.find((other) => other.device === port.device)?.gpuPaths;
      return gpuPaths ? { ...port, gpuPaths } : port;
    });
    return { rdma, ...(known.nvlink && known.gpuPaths && { nvlink: known.nvlink, gpuPaths: known.gpuPaths }) };
  }
  const topology = parseTopology(output.lines('topology').join('\n'));
  const rows = gpus.map((gpu) => topology?.gpus.indexOf(gpu.index) ?? -1);
  if (!topology || rows.length === 0 || rows.includes(-1)) return { rdma: ports };
  const gpuPaths = rows.map((from) => rows.map((to) => topology.paths[from]![to]!));
  return {
    rdma: ports.map((port) => {
      const paths = topology.nics.find((nic) => nic.device === port.device)?.paths;
      return paths ? { ...port, gpuPaths: rows.map((row) => paths[row]!) } : port;
    }),
    nvlink: gpuPaths.map((row) => row.map(nvlinksOf)),
    gpuPaths,
  };
}

function gpuProblem(output: ProbeOutput): string | null {
  const [status, ...said] = output.lines('gpu-failed');
  if (status === undefined) return null;
  if (status === '124') return 'nvidia-smi did not answer within 20 s';
  return `nvidia-smi failed with status ${status}${said[0] === undefined ? '' : `: ${said[0].trim()}`}`;
}

function clockOf(output: ProbeOutput, asked: AskedAt): Pick<HostFacts, 'clockSkewMs' | 'clockUncertaintyMs'> {
  const began = parseDate(output.lines('began')[0]);
  const ended = parseDate(output.lines('ended')[0]);
  if (!began || !ended) return {};
  const { skewMs, uncertaintyMs } = clockSkew({
    ...asked,
    beganAt: began.ms,
    endedAt: ended.ms,
    stepMs: began.stepMs,
  });
  return { clockSkewMs: skewMs, clockUncertaintyMs: uncertaintyMs };
}

function parseNuma(lines: readonly string[]): NonNullable<HostFacts['numa']> {
  return lines.flatMap((line) => {
    const [node = '', cpus = '', memory] = line.split('|');
    return /^\d+$/.test(node) ? [{ node: Number(node), cpus, memoryBytes: kibibytes(memory) ?? null }] : [];
  });
}

/** `/home/ada|/dev/sda1 1000 10 990 1% /`: the fourth column of `df -Pk` is free KiB. A device's name may hold blanks. */
function parseDisks(lines: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    lines.flatMap((line) => {
      const at = line.indexOf('|');
      const free = /\s\d+\s+\d+\s+(\d+)\s+\d+%\s/.exec(line)?.[1];
      return at < 0 || free === undefined ? [] : [[line.slice(0, at), Number(free) * 1024]];
    }),
  );
}

function nodeOf(line: string | undefined): HostFacts['node'] {
  const [path = '', version = ''] = (line ?? '').split('|');
  return path === '' ? null : { path, version: /^v?(\d+\.\d+\.\d+\S*)/.exec(version)?.[1] ?? null };
}

function listeningPorts(lines: readonly string[]): number[] {
  const ports = parseSocketTable(['head', ...lines].join('\n')).map((socket) => socket.port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** Node's names for what `uname -m` prints. */
function nodeArch(machine: string): string {
  return { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' }[machine] ?? machine;
}

function splitWord(line: string): [string, string] {
  const at = line.indexOf(' ');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).trim()];
}

const wholeNumber = (text: string | undefined): number | null =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : null;

function kibibytes(text: string | undefined): number | undefined {
  const found = /^(\d+)( kB)?$/.exec(text ?? '')?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
}
