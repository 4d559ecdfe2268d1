import { describe, expect, it } from 'vitest';
import { knownHosts, sortHosts } from '../../../src/controller/host-entries.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';

const entry = (name: string, address = name): HostEntry => ({ name, address, local: false, labels: {}, env: {} });

describe('how hosts of a deployment are reached', () => {
  it('is what the newest request says, then what the record has, each host once', () => {
    const record = { hosts: [entry('a', 'old'), entry('b')], spareHosts: [entry('c')] };
    expect(knownHosts(record, undefined, { hosts: [entry('a', 'new')], spareHosts: [entry('d')] })).toEqual([
      ...[entry('a', 'new'), entry('d'), entry('b'), entry('c')],
    ]);
    expect(knownHosts(undefined, undefined)).toEqual([]);
  });

  it('is told apart by who has a part', () => {
    expect(sortHosts([entry('a'), entry('b')], ['b', 'local'])).toEqual({
      hosts: [entry('b')],
      spareHosts: [entry('a')],
    });
  });
});
