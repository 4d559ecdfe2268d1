import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { type HostProblem, strangersOf } from '../hosts/host-problems.ts';
import type { HostReport } from '../hosts/inspect-hosts.ts';
import { isNewEnough } from '../hosts/kit/probe-host.ts';
import { renderTable } from './table.ts';

const HEAD = ['HOST', 'ADDRESS', 'REACHED', 'NODE', 'GPUS', 'RDMA', 'ENGINES', 'CLOCK', 'STRANGERS'];

/** The text of `dynamo hosts check`: a table, then data-plane addresses, then problems with their fix. Pure. */
export function renderCheck(reports: readonly HostReport[], problems: readonly HostProblem[]): string {
  const lines = renderTable(HEAD, reports.map(row));
  const several = reports.filter(({ facts }) => facts).length > 1;
  const addressed = reports.filter(({ facts, entry }) => facts && (several || entry.dataAddress !== undefined));
  if (addressed.length > 0) lines.push('', 'Workers of different hosts meet at:');
  for (const { facts, addressReason } of addressed) lines.push(`  ${facts!.name}: ${facts!.address}, ${addressReason}`);
  const failed = reports.flatMap(({ entry, error }) => (error ? [{ entry, error }] : []));
  if (failed.length + problems.length > 0) lines.push('');
  for (const { entry, error } of failed) {
    lines.push(`error: ${named(entry.name, error.message)}`, ...error.details.map((line) => `    ${line}`));
    lines.push(`  fix: ${error.hint}`);
  }
  for (const { severity, hosts, message, hint } of problems) {
    const text = hosts.length === 1 ? named(hosts[0]!, message) : message;
    lines.push(`${severity}: ${text}`, `  fix: ${hint}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Messages of a transport begin with the host's name already. */
const named = (host: string, message: string): string =>
  message.startsWith(`${host}:`) || message.startsWith(`${host} `) ? message : `${host}: ${message}`;

function row({ entry, facts, tookMs }: HostReport): string[] {
  const address = entry.local ? 'this machine' : entry.address;
  if (!facts) return [entry.name, address, 'no', '-', '-', '-', '-', '-', '-'];
  return [
    entry.name,
    address,
    formatDuration(tookMs),
    nodeOf(facts),
    gpusOf(facts),
    rdmaOf(facts),
    Object.entries(facts.engines ?? {})
      .map(([name, { version }]) => `${name} ${version ?? '?'}`)
      .join(', ') || '-',
    clockOf(facts),
    strangerGpus(facts),
  ];
}

/** A host without Node, or with an old one, gets ours with the kit. */
function nodeOf({ node }: HostFacts): string {
  return node?.version && isNewEnough(node.version) ? node.version : 'from kit';
}

/** `8 × H100 80GB HBM3`. */
export function gpusOf({ gpus, gpuProblem }: HostFacts): string {
  if (gpuProblem) return 'failed';
  const names = Map.groupBy(gpus, (gpu) => gpu.name.replace(/^NVIDIA /, ''));
  return [...names].map(([name, alike]) => `${alike.length} × ${name}`).join(', ') || '-';
}

/** `8 × 400 Gb/s` of those whose link is up; `8 of 10 up` where some are not. */
function rdmaOf({ rdma = [] }: HostFacts): string {
  const active = rdma.filter((port) => port.state === 'active');
  if (active.length === 0) return rdma.length === 0 ? '-' : `0 of ${rdma.length} up`;
  const rates = Map.groupBy(active, (port) => port.rateGbps ?? 0);
  return [...rates].map(([rate, alike]) => `${alike.length} × ${rate} Gb/s`).join(', ');
}

function clockOf({ clockSkewMs: skew, clockUncertaintyMs: within = 0 }: HostFacts): string {
  if (skew === undefined) return '-';
  // What is smaller than what can be measured is no difference.
  if (Math.abs(skew) <= within) return `± ${formatDuration(within)}`;
  return `${skew > 0 ? '+' : '-'}${formatDuration(Math.abs(skew))}`;
}

function strangerGpus(facts: HostFacts): string {
  const gpus = [...new Set(strangersOf(facts).map((user) => user.gpu))].sort();
  return gpus.length === 0 ? '-' : `GPU ${gpus.join(', ')}`;
}

/** The text of `dynamo hosts show`. Pure. */
export function renderHost(facts: HostFacts, addressReason: string | null): string {
  const lines: string[] = [`${facts.name}: ${facts.hostname ?? ''}`.trimEnd()];
  const say = (key: string, value: string | null | undefined) => {
    if (value) lines.push(`  ${key.padEnd(10)} ${value}`);
  };
  say('system', [facts.os, facts.kernel && `kernel ${facts.kernel}`, facts.arch].filter(Boolean).join(', '));
  say('libc', facts.glibc ? `glibc ${facts.glibc}` : 'not glibc');
  say('processors', `${facts.cpus}${facts.numa && facts.numa.length > 1 ? ` in ${facts.numa.length} NUMA nodes` : ''}`);
  const free = facts.memoryAvailableBytes;
  say('memory', `${formatBytes(facts.memoryBytes)}${free === undefined ? '' : `, ${formatBytes(free)} available`}`);
  for (const [folder, bytes] of Object.entries(facts.freeDisk ?? {})) say('free', `${formatBytes(bytes)} in ${folder}`);
  say('user', facts.user && `${facts.user}, ${facts.home}, ${facts.shell ?? 'no login shell'}`);
  say('node', facts.node ? `${facts.node.version ?? 'unknown version'}, ${facts.node.path}` : 'none');
  for (const [name, engine] of Object.entries(facts.engines ?? {})) {
    const beside = Object.entries(engine.packages).map(([pack, version]) => `${pack} ${version}`);
    say('engine', [`${name} ${engine.version ?? 'of unknown version'}`, engine.path, ...beside].join(', '));
  }
  say('clock', clockOf(facts));
  say('boot', facts.bootId);
  const labels = Object.entries(facts.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  say('labels', labels.join(', '));
  say('address', `${facts.address}${addressReason === null ? '' : `, ${addressReason}`}`);
  lines.push(...gpuLines(facts), ...networkLines(facts));
  return `${lines.join('\n')}\n`;
}

function gpuLines(facts: HostFacts): string[] {
  if (facts.gpuProblem) return ['', `GPUs: ${facts.gpuProblem}`];
  if (facts.gpus.length === 0) return [];
  const users = facts.gpuUsers ?? [];
  const head = ['GPU', 'NAME', 'MEMORY', 'USED', 'NUMA', 'USED BY', 'LINKS'];
  const rows = facts.gpus.map((gpu, index) => [
    String(gpu.index),
    gpu.name,
    formatBytes(gpu.memoryBytes),
    gpu.memoryUsedBytes === null ? '?' : formatBytes(gpu.memoryUsedBytes),
    gpu.numaNode === null || gpu.numaNode === undefined ? '-' : String(gpu.numaNode),
    users
      .filter((user) => user.gpu === gpu.index)
      .map((user) => `${user.user ?? '?'}:${user.pid}${user.ours ? ' (dynamo)' : ''}`)
      .join(' ') || '-',
    facts.gpuPaths?.[index]?.join(' ') ?? '-',
  ]);
  return ['', `driver ${facts.driver ?? 'unknown'}`, ...renderTable(head, rows)];
}

function networkLines(facts: HostFacts): string[] {
  const nics = (facts.nics ?? []).filter((nic) => nic.physical || nic.addresses.length > 0);
  const lines: string[] = [];
  if (nics.length > 0)
    lines.push(
      '',
      ...renderTable(
        ['NIC', 'STATE', 'SPEED', 'MTU', 'NUMA', 'ADDRESSES'],
        nics.map((nic) => [
          nic.name,
          nic.state,
          nic.speedMbps === null ? '?' : `${nic.speedMbps / 1000} Gb/s`,
          String(nic.mtu ?? '?'),
          nic.numaNode === null ? '-' : String(nic.numaNode),
          nic.addresses.map(({ address, prefixBits }) => `${address}/${prefixBits}`).join(' ') || '-',
        ]),
      ),
    );
  const ports = facts.rdma ?? [];
  if (ports.length > 0)
    lines.push(
      '',
      ...renderTable(
        ['RDMA', 'STATE', 'RATE', 'LAYER', 'NUMA', 'NETWORK', 'TO EACH GPU'],
        ports.map((port) => [
          port.device,
          port.state,
          port.rateGbps === null ? '?' : `${port.rateGbps} Gb/s`,
          port.linkLayer,
          port.numaNode === null ? '-' : String(port.numaNode),
          port.netdev ?? '-',
          port.gpuPaths?.join(' ') ?? '-',
        ]),
      ),
    );
  return lines;
}
