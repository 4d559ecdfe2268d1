import { describe, expect, it } from 'vitest';
import { RecordDiscovery } from '../../../src/discovery/record-discovery.ts';
import type { RecordStore } from '../../../src/discovery/record-store.ts';
import { EventLog } from '../../helpers/event-log.ts';
import { makeInstance } from '../../helpers/instance.ts';

/** A store in a map, whose every operation waits for `gate`. */
function createGatedStore() {
  const texts = new Map<string, string>();
  const gates: PromiseWithResolvers<void>[] = [];
  let isOpen = true;
  let waiting = 0;
  const pass = async <T>(work: () => T): Promise<T> => {
    if (!isOpen) {
      waiting += 1;
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
    }
    return work();
  };
  const store: RecordStore = {
    keys: () => pass(() => [...texts.keys()]),
    read: (key) => pass(() => texts.get(key)),
    write: (key, text) => pass(() => void texts.set(key, text)),
    create: (key, text) => pass(() => !texts.has(key) && Boolean(texts.set(key, text))),
    move: () => pass(() => {}),
    remove: (key) => pass(() => void texts.delete(key)),
    open: () => pass(() => {}),
    clear: () => pass(() => texts.clear()),
    hint: () => ({ renew: async () => {}, [Symbol.dispose]: () => {} }),
    assertPresent: () => pass(() => {}),
  };
  return {
    store,
    hang: () => {
      isOpen = false;
    },
    resume: () => {
      isOpen = true;
      for (const gate of gates.splice(0)) gate.resolve();
    },
    waiting: () => waiting,
  };
}

describe('RecordDiscovery over a store that does not answer', () => {
  const options = { deployment: 'demo', ttlMs: 60 };

  it('says so after a TTL, asks no more than once, and goes on when it answers', async () => {
    const gated = createGatedStore();
    await using owner = new RecordDiscovery(gated.store, options);
    await using observer = new RecordDiscovery(gated.store, options);
    const lease = await owner.register(makeInstance('decode-0'), {});
    const log = new EventLog(observer);
    await log.saw('synced');
    gated.hang();
    await log.saw('store failed');
    expect((await lease.lost).message).toBe(
      'decode-0 generation 1 could not be refreshed for 60 ms: the store does not answer',
    );
    // One survey of the watch and one refresh of the lease, however long it takes.
    expect(gated.waiting()).toBe(2);
    gated.resume();
    await log.saw('store back');
    await lease.drain();
    await log.saw('upsert decode-0 1 draining');
    expect(log.lines).not.toContain('removed decode-0 1');
    await log.stop();
  });

  it('ends a watch at once, and closes in bounded time', async () => {
    const gated = createGatedStore();
    const observer = new RecordDiscovery(gated.store, options);
    await observer.register(makeInstance('decode-0'), {});
    const log = new EventLog(observer);
    await log.saw('synced');
    gated.hang();
    await log.saw('store failed');
    await log.stop();
    await observer[Symbol.asyncDispose]();
    gated.resume();
  });
});
