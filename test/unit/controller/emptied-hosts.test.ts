import { describe, expect, it } from 'vitest';
import { emptiedHosts } from '../../../src/controller/emptied-hosts.ts';
import type { PendingChange, RollingRecord } from '../../../src/deployment/record.ts';
import { trivialPlan, trivialProcess } from '../../helpers/trivial-plan.ts';

const on = (...hosts: string[]) => hosts.map((host) => trivialProcess(`on-${host}`, { host }));
const plan = trivialPlan('d', on('a'), { hosts: ['a', 'b', 'c'] });

describe('hosts that have nothing to run any more', () => {
  it('are those of the plan without a process', () => {
    expect(emptiedHosts({ plan })).toEqual(['b', 'c']);
    expect(emptiedHosts({ plan: trivialPlan('d', on('a', 'b', 'c'), { hosts: ['a', 'b', 'c'] }) })).toEqual([]);
  });

  it('are not those that a change is about to use, or whose worker is out only until its successor is there', () => {
    const change = { added: on('b') } as unknown as PendingChange;
    const rolling = { out: { specs: on('c') } } as unknown as RollingRecord;
    expect(emptiedHosts({ plan, change })).toEqual(['c']);
    expect(emptiedHosts({ plan, rolling })).toEqual(['b']);
    expect(emptiedHosts({ plan, change, rolling })).toEqual([]);
    expect(emptiedHosts({ plan, rolling: { ...rolling, out: null } })).toEqual(['b', 'c']);
  });
});
