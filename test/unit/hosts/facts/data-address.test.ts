import { describe, expect, it } from 'vitest';
import { chooseDataAddresses, networkOf } from '../../../../src/hosts/facts/data-address.ts';
import type { HostEntry } from '../../../../src/hosts/host-entry.ts';
import { type HostFacts, hostFactsSchema } from '../../../../src/hosts/host-facts.ts';

type Nic = [name: string, speedMbps: number | null, ...addresses: string[]];

function host(name: string, sshAddress: string | null, nics: Nic[], over: Partial<HostEntry & { state: string }> = {}) {
  const entry: HostEntry = { name, address: sshAddress ?? name, local: name === 'local', labels: {}, env: {}, ...over };
  const facts: HostFacts = {
    ...hostFactsSchema.parse({ name }),
    sshAddress,
    nics: nics.map(([nic, speedMbps, ...addresses]) => ({
      name: nic,
      state: over.state ?? 'up',
      speedMbps,
      mtu: 1500,
      numaNode: null,
      physical: true,
      addresses: addresses.map((text) => {
        const [address = '', bits] = text.split('/');
        return { address, prefixBits: Number(bits) };
      }),
    })),
    defaultNic: nics[0]?.[0] ?? null,
  };
  return { entry, facts };
}
const chosen = (...hosts: ReturnType<typeof host>[]) =>
  [...chooseDataAddresses(hosts).values()].map(({ address, reason }) => `${address} ${reason}`);

describe('chooseDataAddresses', () => {
  it('takes loopback for this machine alone, and the way SSH came for another one alone', () => {
    expect(chosen(host('local', null, [['eth0', 1000, '10.0.0.1/24']]))).toEqual(['127.0.0.1 this machine alone']);
    expect(
      chosen(
        host('a', '10.0.0.7', [
          ['eth0', 1000, '10.0.0.7/24'],
          ['eth1', 9000, '10.9.0.7/24'],
        ]),
      ),
    ).toEqual(['10.0.0.7 on eth0, by which SSH reached it']);
  });

  it('prefers the network that SSH uses among those all hosts share, then the fastest', () => {
    const a = host('a', '10.0.0.1', [
      ['eth0', 1000, '10.0.0.1/24'],
      ['ib0', 400_000, '10.9.0.1/16'],
    ]);
    const b = host('b', '10.0.0.2', [
      ['eth0', 1000, '10.0.0.2/24'],
      ['ib0', 400_000, '10.9.1.2/16'],
    ]);
    expect(chosen(a, b)).toEqual([
      '10.0.0.1 on eth0, in 10.0.0.0/24 like all hosts',
      '10.0.0.2 on eth0, in 10.0.0.0/24 like all hosts',
    ]);
    // Reached through address translation: the address by which SSH came is in none of its networks.
    const nat = [a, b].map(({ entry, facts }) => ({ entry, facts: { ...facts, sshAddress: '203.0.113.9' } }));
    expect(chosen(...nat)).toEqual([
      '10.9.0.1 on ib0, in 10.9.0.0/16 like all hosts',
      '10.9.1.2 on ib0, in 10.9.0.0/16 like all hosts',
    ]);
  });

  it('lets this machine and another one meet in their common network', () => {
    const local = host('local', null, [
      ['docker0', null, '172.17.0.1/16'],
      ['eth0', null, '10.0.0.5/24'],
    ]);
    const other = host('a', '10.0.0.1', [
      ['docker0', null, '172.17.0.1/16'],
      ['eth0', null, '10.0.0.1/24'],
    ]);
    expect(chosen(local, other)).toEqual([
      '10.0.0.5 on eth0, in 10.0.0.0/24 like all hosts',
      '10.0.0.1 on eth0, in 10.0.0.0/24 like all hosts',
    ]);
  });

  it('does IPv6, and IPv4 first where both are shared', () => {
    const six = (n: number) => host(`h${n}`, null, [['eth0', 1000, `2001:db8::${n}/64`]]);
    expect(chosen(six(1), six(2))[1]).toBe('2001:db8::2 on eth0, in 2001:db8::/64 like all hosts');
    const both = (n: number) => host(`h${n}`, null, [['eth0', 1000, `2001:db8::${n}/64`, `10.0.0.${n}/24`]]);
    expect(chosen(both(1), both(2))[0]).toMatch(/^10\.0\.0\.1 /);
  });

  it('says that routing must do it where the hosts share no network', () => {
    const a = host('a', '10.0.1.1', [['eth0', 1000, '10.0.1.1/24']]);
    const b = host('b', null, [['eth0', 1000, '10.0.2.1/24']]);
    const mute = host('c', null, []);
    expect(chosen(a, b, mute)).toEqual([
      '10.0.1.1 on eth0, by which SSH reached it; the hosts share no network, so routing must lead there',
      '10.0.2.1 on eth0, of its default route; the hosts share no network, so routing must lead there',
      'c as SSH reaches it: the host does not tell its own addresses',
    ]);
  });

  it('obeys the hosts file, and takes no interface that is down', () => {
    const a = host('a', '10.0.0.1', [['eth0', 1000, '10.0.0.1/24']], { dataAddress: '192.168.7.1' });
    const b = host('b', '10.0.0.2', [['eth0', 1000, '10.0.0.2/24']], { state: 'down' });
    expect(chosen(a, b)).toEqual([
      '192.168.7.1 as the hosts file says',
      '10.0.0.2 as SSH reaches it: the host does not tell its own addresses',
    ]);
  });
});

describe('networkOf', () => {
  it.each([
    ['10.1.2.3', 24, '10.1.2.0/24'],
    ['10.1.2.3', 22, '10.1.0.0/22'],
    ['10.1.2.3', 32, '10.1.2.3/32'],
    ['10.1.2.3', 0, '0.0.0.0/0'],
    ['2001:db8::1', 64, '2001:db8::/64'],
    ['2001:db8:0:f00::1', 56, '2001:db8:0:f00::/56'],
    ['fd00::ffff:10.0.0.1', 128, 'fd00:0:0:0:0:ffff:a00:1/128'],
  ])('%s/%i is in %s', (address, bits, network) => {
    expect(networkOf(address, bits)).toBe(network);
  });
});
