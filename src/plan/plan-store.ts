import net from 'node:net';
import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { bracket, isLoopback } from '../base/url-host.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { ManagedEtcdRecipe } from '../recipe/recipe.ts';
import type { PortBook } from './assign-ports.ts';
import { explainPort } from './explain-port.ts';
import type { ProcessSpec } from './launch-plan.ts';

const CLIENT_PORT_FROM = 2_379;
const PEER_PORT_FROM = 2_380;
const START_TIMEOUT_MS = 120_000;
const INSTALL_HINT =
  'Install etcd 3.4 or newer (Debian: apt-get install etcd-server), or name an etcd that runs already in `discovery.endpoints`.';

/** A host that can run a member. */
export interface StoreHost {
  facts: HostFacts;
  ports: PortBook;
  /** The deployment's own folder for discovery on that host. */
  discoveryRoot: string;
}

export interface PlannedStore {
  processes: ProcessSpec[];
  warnings: string[];
}

/**
 * The members of a managed etcd: three when the deployment has three hosts, one when it has one or two. Throws `RECIPE_INVALID`
 * when the recipe names a host that the deployment does not have.
 */
export function planStore(managed: ManagedEtcdRecipe, deployment: string, hosts: readonly StoreHost[]): PlannedStore {
  const chosen = chooseHosts(managed, hosts);
  const members = chosen.map((host, index) => {
    const { facts, ports } = host;
    const http = managed.port ?? ports.take(CLIENT_PORT_FROM);
    const httpReason = portReason('http', http, managed.port, CLIENT_PORT_FROM, ports);
    const peer = managed.peerPort ?? ports.take(PEER_PORT_FROM);
    const peerReason = portReason('peer', peer, managed.peerPort, PEER_PORT_FROM, ports);
    const address = bracket(facts.address);
    return {
      host,
      name: chosen.length === 1 ? 'etcd' : `etcd-${index}`,
      ports: { http, peer },
      url: `http://${address}:${http}`,
      peerUrl: `http://${address}:${peer}`,
      reasons: [httpReason, peerReason],
    };
  });
  const cluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  const processes = members.map(({ host, name, ports, url, peerUrl, reasons }): ProcessSpec => {
    const dataDir = path.join(host.discoveryRoot, name);
    const config = memberConfig({
      name,
      dataDir,
      url,
      peerUrl,
      cluster,
      deployment,
      address: host.facts.address,
      ports,
    });
    return {
      ...{ name, role: 'store', host: host.facts.name, model: null, engine: null },
      // A file, because etcd refuses to start when a variable of its own says what a flag says too.
      argv: [managed.command ?? 'etcd', '--config-file', '{file:etcd.json}'],
      files: [{ name: 'etcd.json', content: `${JSON.stringify(config, null, 2)}\n` }],
      dataDir,
      env: {},
      cwd: null,
      ports,
      fixedPorts: [
        ...(managed.port === undefined ? [] : ['http']),
        ...(managed.peerPort === undefined ? [] : ['peer']),
      ],
      gpus: [],
      url,
      readiness: [{ kind: 'http', path: '/health' }],
      // Not /health: a member without a majority is not helped by a restart.
      liveness: { check: { kind: 'http', path: '/version' }, periodMs: 5_000, timeoutMs: 5_000, failures: 6 },
      startTimeoutMs: START_TIMEOUT_MS,
      // Never given up: serving goes on without it, but not for ever.
      restart: {
        policy: 'always',
        backoff: { initialMs: 500, maxMs: 15_000, factor: 2 },
        resetAfterMs: 60_000,
        maxRestarts: 1_000_000,
      },
      drain: { inFlightMs: 0, killAfterMs: 10_000 },
      kvTransfer: null,
      kvBlockSize: null,
      installHint: INSTALL_HINT,
      reasons: [
        explainHost(managed, host, chosen.length, hosts.length),
        ...reasons,
        'starts first and stops last: the others are registered in it',
      ],
    };
  });
  return { processes, warnings: [...lonelyMember(chosen, hosts), ...openStore(chosen)] };
}

function chooseHosts(managed: ManagedEtcdRecipe, hosts: readonly StoreHost[]): StoreHost[] {
  if (managed.hosts === undefined) return hosts.slice(0, hosts.length >= 3 ? 3 : 1);
  return managed.hosts.map((name) => {
    const found = hosts.find(({ facts }) => facts.name === name);
    if (found) return found;
    const names = hosts.map(({ facts }) => facts.name).join(', ');
    throw new DynamoError('RECIPE_INVALID', `discovery.managed.hosts names ${name}, which is not in this deployment`, {
      hint: `Its hosts are ${names}.`,
    });
  });
}

function explainHost(managed: ManagedEtcdRecipe, { facts }: StoreHost, members: number, hosts: number): string {
  if (managed.hosts) return `runs on ${facts.name}: the recipe says so`;
  if (members === 1)
    return hosts === 1 ? `runs on ${facts.name}, the only host` : `runs on ${facts.name}, the first host`;
  return `runs on ${facts.name}: a member each on the first three of ${hosts} hosts`;
}

function portReason(
  purpose: 'http' | 'peer',
  port: number,
  written: number | undefined,
  from: number,
  book: PortBook,
): string {
  const label = purpose === 'http' ? 'client' : 'peer';
  return written === undefined
    ? explainPort(label, port, from, book.skipped())
    : `${label} port ${port}: the recipe says so`;
}

/** etcd's own option names, 3.4 to 3.6. */
function memberConfig(member: {
  name: string;
  dataDir: string;
  url: string;
  peerUrl: string;
  cluster: string;
  deployment: string;
  address: string;
  ports: { http: number; peer: number };
}): Record<string, string | string[]> {
  // It listens on addresses, not on names.
  const isAddress = net.isIP(member.address) !== 0 || member.address === 'localhost';
  const listen = (port: number): string => `http://${isAddress ? bracket(member.address) : '0.0.0.0'}:${port}`;
  return {
    name: member.name,
    'data-dir': member.dataDir,
    'listen-client-urls': listen(member.ports.http),
    'advertise-client-urls': member.url,
    'listen-peer-urls': listen(member.ports.peer),
    'initial-advertise-peer-urls': member.peerUrl,
    'initial-cluster': member.cluster,
    'initial-cluster-state': 'new',
    'initial-cluster-token': member.deployment,
    // Every refresh of a record makes a revision: without this its database would be full within days.
    'auto-compaction-mode': 'revision',
    'auto-compaction-retention': '1000',
    logger: 'zap',
    'log-level': 'warn',
    'log-outputs': ['stderr'],
  };
}

function lonelyMember(chosen: readonly StoreHost[], hosts: readonly StoreHost[]): string[] {
  if (chosen.length > 1 || hosts.length === 1) return [];
  const { name } = chosen[0]!.facts;
  const more =
    hosts.length === 2
      ? 'A third host would allow three members.'
      : 'Three hosts in `discovery.managed.hosts` run three members.';
  return [
    `etcd has one member, on ${name}: while it or ${name} is away, requests go on being served, but no worker can be registered and nothing new can be started. ${more}`,
  ];
}

function openStore(chosen: readonly StoreHost[]): string[] {
  const open = chosen.filter(({ facts }) => !isLoopback(facts.address));
  if (open.length === 0) return [];
  const names = open.map(({ facts }) => facts.name).join(', ');
  return [`etcd on ${names} has no access control: whoever reaches its ports can change where requests go`];
}
