import { describe, expect, it } from 'vitest';
import type { Instance } from '../../../../src/discovery/discovery.ts';
import { InstanceTable, originOf } from '../../../../src/frontend/instances/instance-table.ts';
import { makeInstance } from '../../../helpers/instance.ts';

function table() {
  const events: string[] = [];
  const made = new InstanceTable({
    added: ({ record }) => events.push(`+${record.name}.${record.generation}`),
    dropped: ({ record }, reason) => events.push(`-${record.name}.${record.generation} ${reason}`),
  });
  const upsert = (instance: Instance, state: 'ready' | 'draining' = 'ready') =>
    made.apply({ type: 'upsert', instance: { ...instance, state, counter: 1 } });
  return { made, events, upsert };
}

describe('InstanceTable', () => {
  it('follows an instance from ready over lapsed and draining to removed', () => {
    const { made, events, upsert } = table();
    upsert(makeInstance('decode-0'));
    made.apply({ type: 'lapsed', name: 'decode-0', generation: 1 });
    expect(made.get('decode-0')?.state).toBe('lapsed');
    upsert(makeInstance('decode-0'));
    expect(made.get('decode-0')?.state).toBe('ready');
    upsert(makeInstance('decode-0'), 'draining');
    made.apply({ type: 'lapsed', name: 'decode-0', generation: 1 });
    expect(made.get('decode-0')?.state).toBe('draining');
    made.apply({ type: 'removed', name: 'decode-0', generation: 1 });
    expect(events).toEqual(['+decode-0.1', '-decode-0.1 withdrawn']);
  });

  it('keeps one generation of a name, and one instance at an address', () => {
    const { made, events, upsert } = table();
    upsert(makeInstance('decode-0', 2));
    upsert(makeInstance('decode-0', 1));
    made.apply({ type: 'removed', name: 'decode-0', generation: 1 });
    made.apply({ type: 'lapsed', name: 'decode-0', generation: 1 });
    expect(made.get('decode-0')).toMatchObject({ state: 'ready', record: { generation: 2 } });
    upsert(makeInstance('decode-0', 3));
    upsert(makeInstance('decode-1', 1));
    expect(made.list().map(({ record }) => record.name)).toEqual(['decode-1']);
    expect(events).toEqual([
      '+decode-0.2',
      '-decode-0.2 replaced by a newer generation',
      '+decode-0.3',
      '-decode-0.3 its address now belongs to decode-1',
      '+decode-1.1',
    ]);
  });

  it('ignores what does not generate, and remembers the store’s trouble', () => {
    const { made, upsert } = table();
    upsert(makeInstance('frontend', 1, { role: 'frontend', model: null }));
    upsert(makeInstance('router', 1, { role: 'router', model: null }));
    expect(made.list()).toEqual([]);
    made.apply({ type: 'store', message: 'unreadable' });
    made.apply({ type: 'synced' });
    expect([made.storeProblem, made.isSynced]).toEqual(['unreadable', true]);
  });

  it('reads addresses of both families', () => {
    expect(originOf('http://127.0.0.1:8101')).toEqual({
      authority: '127.0.0.1:8101',
      hostname: '127.0.0.1',
      port: 8101,
    });
    expect(originOf('http://[::1]:8101/')).toEqual({ authority: '[::1]:8101', hostname: '::1', port: 8101 });
    expect(originOf('http://gpu-host')).toEqual({ authority: 'gpu-host', hostname: 'gpu-host', port: 80 });
  });
});
