import { describe, expect, it } from 'vitest';
import { KitCopies } from '../../../src/controller/kit-copies.ts';

const MIB = 1024 ** 2;

function watched() {
  const events: string[] = [];
  let changes = 0;
  let nowMs = 0;
  const copies = new KitCopies({
    onEvent: (type, message) => events.push(`${type}: ${message}`),
    onChange: () => {
      changes += 1;
    },
    now: () => nowMs,
  });
  const at = (ms: number) => {
    nowMs = ms;
  };
  return { copies, events, changes: () => changes, at };
}

describe('what is copied to hosts', () => {
  it('is told at its begin and its end, and not with every chunk between', () => {
    const { copies, events, changes, at } = watched();
    for (let done = 0; done <= 1_000; done += 1) {
      at(done);
      copies.progress('a', 'dynamo 1', done * MIB, 1_000 * MIB);
    }
    expect(changes()).toBeLessThan(10);
    expect(copies.current.get('a')).toEqual({ what: 'dynamo 1', doneBytes: 1_000 * MIB, totalBytes: 1_000 * MIB });
    copies.end('a');
    expect(copies.current.size).toBe(0);
    expect(events).toEqual(['kit: copying dynamo 1 to a: 1000 MiB', 'kit: copied dynamo 1 to a in 1.0 s']);
    const before = changes();
    copies.end('a');
    expect(changes()).toBe(before);
  });

  it('is one after the other on a host; what is made ready first has no event of its own', () => {
    const { copies, events, at } = watched();
    copies.progress('a', 'dynamo 1', 4 * MIB, 4 * MIB);
    copies.progress('a', 'node 24', 0, 0);
    expect(copies.current.get('a')).toEqual({ what: 'node 24', doneBytes: 0, totalBytes: 0 });
    at(5_000);
    copies.progress('a', 'node 24', 1 * MIB, 90 * MIB);
    at(6_000);
    copies.end('a');
    expect(events).toEqual([
      'kit: copying dynamo 1 to a: 4.0 MiB',
      'kit: copied dynamo 1 to a in 0 ms',
      'kit: copying node 24 to a: 90 MiB',
      'kit: copying node 24 to a ended after 1.0 MiB of 90 MiB',
    ]);
  });
});
