import { describe, expect, it } from 'vitest';
import { whyNoOthers } from '../../../src/controller/facts-now.ts';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';

const etcd: LaunchPlan['discovery'] = { backend: 'etcd', endpoints: ['http://10.0.0.9:2379'], ttlMs: 1 };
const known = [
  { name: 'a', address: '10.0.0.1' },
  { name: 'b', address: '10.0.0.2' },
];

describe('whether other hosts may take part', () => {
  it('with etcd, in a folder that was named, or in one that several share already', () => {
    expect(whyNoOthers({ hosts: ['a'], discovery: etcd }, known)).toBeUndefined();
    expect(
      whyNoOthers({ hosts: ['a'], discovery: { backend: 'file', ttlMs: 1, root: '/shared' } }, known),
    ).toBeUndefined();
    expect(whyNoOthers({ hosts: ['a', 'b'], discovery: { backend: 'file', ttlMs: 1 } }, known)).toBeUndefined();
  });

  it('not where the records lie in files of one host, or where what runs listens on loopback', () => {
    expect(whyNoOthers({ hosts: ['a'], discovery: { backend: 'file', ttlMs: 1 } }, known)).toContain('files of a');
    const here = [{ name: 'a', address: '127.0.0.1' }];
    expect(whyNoOthers({ hosts: ['a'], discovery: etcd }, here)).toBe(
      'other hosts cannot reach what runs on a at 127.0.0.1',
    );
  });
});
