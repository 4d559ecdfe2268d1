import type { NicFacts, RdmaFacts } from '../host-facts.ts';
import { numaNode } from './gpu-lines.ts';

/** Interfaces from the probe's `name|state|Mbit/s|MTU|NUMA node|physical`, with the addresses of `ip -o addr show scope global`. */
export function parseNics(lines: readonly string[], addressLines: readonly string[]): NicFacts[] {
  const addresses = addressLines.flatMap((line) => {
    const match = /^\d+:\s+(\S+?)(?:@\S+)?\s+inet6?\s+([0-9a-fA-F.:]+)\/(\d+)\s/.exec(line);
    // Addresses that only serve for a while change without notice, and those that are being checked do not serve yet.
    if (!match || /\s(temporary|deprecated|tentative|dadfailed)\s/.test(line)) return [];
    return [{ nic: match[1]!, address: match[2]!, prefixBits: Number(match[3]) }];
  });
  return lines.flatMap((line) => {
    const [name = '', state = '', speed = '', mtu = '', numa, physical] = line.split('|');
    if (name === '' || name === 'lo') return [];
    return [
      {
        name,
        state,
        // -1: the driver does not know.
        speedMbps: /^\d+$/.test(speed) ? Number(speed) : null,
        mtu: /^\d+$/.test(mtu) ? Number(mtu) : null,
        numaNode: numaNode(numa),
        physical: physical === 'yes',
        addresses: addresses
          .filter((found) => found.nic === name)
          .map(({ address, prefixBits }) => ({ address, prefixBits })),
      },
    ];
  });
}

/** RDMA ports from the probe's `device|port|state|physical state|rate|link layer|NUMA node|network device`. */
export function parseRdma(lines: readonly string[]): RdmaFacts[] {
  return lines.flatMap((line) => {
    const [device = '', port = '', state = '', , rate = '', linkLayer = '', numa, netdev = ''] = line.split('|');
    if (device === '' || !/^\d+$/.test(port)) return [];
    return [
      {
        device,
        port: Number(port),
        // `4: ACTIVE`
        state: state.replace(/^\d+:\s*/, '').toLowerCase(),
        // `400 Gb/sec (4X NDR)`
        rateGbps: rateOf(rate),
        linkLayer,
        numaNode: numaNode(numa),
        netdev: netdev === '' ? null : netdev,
      },
    ];
  });
}

function rateOf(text: string): number | null {
  const found = /^([\d.]+)\s*Gb\/sec/.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/** Interface of the default route from `ip -o route show default`, IPv4 first. */
export function parseDefaultNic(lines: readonly string[]): string | null {
  for (const line of lines) {
    const nic = /^default\s.*?\bdev\s+(\S+)/.exec(line)?.[1];
    if (nic !== undefined) return nic;
  }
  return null;
}
