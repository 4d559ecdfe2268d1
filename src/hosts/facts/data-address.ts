import { isIPv6 } from 'node:net';
import type { HostEntry } from '../host-entry.ts';
import type { HostFacts, NicFacts } from '../host-facts.ts';

/** Where the processes of a host listen and are reached, and why there. */
export interface DataAddress {
  address: string;
  /** `on enp1s0, in 10.0.0.0/24 like all hosts`: fits after the address. */
  reason: string;
}

interface Candidate {
  address: string;
  nic: NicFacts;
  /** `10.0.0.0/24`: equal for neighbours. */
  network: string;
}

/** What containers and virtual machines of one host use among themselves. */
const INTERNAL = /^(docker|br-|veth|virbr|cni|flannel|cali|vxlan|podman|lxc|lxd|kube|nerdctl|tunl|dummy)/;

/**
 * Chooses each host's data-plane address: what the hosts file says; for one host alone this machine's loopback or the address
 * SSH reached it by; else an address in a network that all hosts are in (that of the SSH addresses before others, then the
 * fastest); else the address SSH reached it by, or that of its default route. Pure.
 */
export function chooseDataAddresses(
  hosts: readonly { entry: HostEntry; facts: HostFacts }[],
): Map<string, DataAddress> {
  const shared = hosts.length > 1 ? sharedNetwork(hosts.map(({ facts }) => facts)) : undefined;
  return new Map(
    hosts.map(({ entry, facts }) => {
      if (entry.dataAddress !== undefined)
        return [facts.name, { address: entry.dataAddress, reason: 'as the hosts file says' }] as const;
      if (hosts.length === 1 && entry.local)
        return [facts.name, { address: '127.0.0.1', reason: 'this machine alone' }] as const;
      const inShared = shared && candidates(facts).find((found) => found.network === shared);
      if (inShared)
        return [
          facts.name,
          { address: inShared.address, reason: `on ${inShared.nic.name}, in ${shared} like all hosts` },
        ] as const;
      return [facts.name, alone(entry, facts, hosts.length > 1)] as const;
    }),
  );
}

/** Hosts that share no network, or facts that name none. */
function alone(entry: HostEntry, facts: HostFacts, several: boolean): DataAddress {
  const why = several ? '; the hosts share no network, so routing must lead there' : '';
  const found = candidates(facts);
  const ssh = found.find((candidate) => candidate.address === facts.sshAddress);
  if (ssh) return { address: ssh.address, reason: `on ${ssh.nic.name}, by which SSH reached it${why}` };
  const routed = found.find((candidate) => candidate.nic.name === facts.defaultNic);
  if (routed) return { address: routed.address, reason: `on ${routed.nic.name}, of its default route${why}` };
  const first = found[0];
  if (first) return { address: first.address, reason: `on ${first.nic.name}${why}` };
  return entry.local
    ? { address: '127.0.0.1', reason: 'no other address is known' }
    : { address: entry.address, reason: 'as SSH reaches it: the host does not tell its own addresses' };
}

function sharedNetwork(all: readonly HostFacts[]): string | undefined {
  const perHost = all.map((facts) => candidates(facts));
  const networks = [...new Set(perHost[0]?.map((candidate) => candidate.network))];
  const common = networks.filter((network) => perHost.every((found) => found.some((one) => one.network === network)));
  const bySsh = (network: string): number =>
    all.filter((facts, index) =>
      perHost[index]?.some((one) => one.network === network && one.address === facts.sshAddress),
    ).length;
  // A link is as fast as its slowest end.
  const speed = (network: string): number =>
    Math.min(...perHost.map((found) => found.find((one) => one.network === network)?.nic.speedMbps ?? 0));
  const family = (network: string): number => (network.includes(':') ? 0 : 1);
  return common.toSorted((a, b) => bySsh(b) - bySsh(a) || speed(b) - speed(a) || family(b) - family(a))[0];
}

/** Addresses that other hosts may reach, those of interfaces that are up. */
function candidates(facts: HostFacts): Candidate[] {
  return (facts.nics ?? [])
    .filter((nic) => nic.state !== 'down' && !INTERNAL.test(nic.name))
    .flatMap((nic) =>
      nic.addresses.map(({ address, prefixBits }) => ({ address, nic, network: networkOf(address, prefixBits) })),
    );
}

/** `10.0.0.0/24` for `10.0.0.7` and 24. A single address (/32, /128) is a network of its own. */
export function networkOf(address: string, prefixBits: number): string {
  const v6 = isIPv6(address);
  const words = v6 ? expandIpv6(address) : address.split('.').map(Number);
  const wordBits = v6 ? 16 : 8;
  const masked = words.map((word, index) => {
    const kept = Math.max(0, Math.min(wordBits, prefixBits - index * wordBits));
    return word & ((((1 << kept) - 1) << (wordBits - kept)) & ((1 << wordBits) - 1));
  });
  if (!v6) return `${masked.join('.')}/${prefixBits}`;
  return `${masked
    .map((word) => word.toString(16))
    .join(':')
    .replace(/(:0)+$/, '::')}/${prefixBits}`;
}

function expandIpv6(address: string): number[] {
  const [left = '', right] = address.split('::');
  const parse = (text: string): number[] =>
    text === ''
      ? []
      : text.split(':').flatMap((part) => {
          if (!part.includes('.')) return [Number.parseInt(part, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const head = parse(left);
  if (right === undefined) return head;
  const tail = parse(right);
  return [...head, ...Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => 0), ...tail];
}
