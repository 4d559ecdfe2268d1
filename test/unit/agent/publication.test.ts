import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Publication } from '../../../src/agent/publication.ts';
import { createMemoryDiscovery, createMemorySpace, type MemorySpace } from '../../../src/discovery/memory.ts';
import { EventLog } from '../../../src/supervise/event-log.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const NAMES = Array.from({ length: 16 }, (_, index) => `worker-${index}`);
const specs = NAMES.map((name) => trivialProcess(name));

let tmp: ReturnType<typeof tmpDir>;
let space: MemorySpace;
let publication: Publication;
let registered: string[];
const given = new AbortController().signal;
beforeEach(() => {
  tmp = tmpDir();
  space = createMemorySpace();
  const discovery = createMemoryDiscovery(space, { deployment: 'demo', ttlMs: 60_000 });
  registered = [];
  const { register } = discovery;
  discovery.register = (instance, options) => {
    registered.push(instance.name);
    return register.call(discovery, instance, options);
  };
  publication = new Publication({ discovery }, 'demo', new EventLog(path.join(tmp.dir, 'events'), 'agent'), given);
});
afterEach(() => tmp[Symbol.dispose]());

const instances = (): string[] => [...(space.texts.get('demo')?.keys() ?? [])].filter((key) => /^instance/.test(key));

describe('the publication of processes', () => {
  it('twice at the same moment is one: a step that is taken again leaves nothing behind', async () => {
    await Promise.all([...specs, ...specs].map((spec) => publication.publish(spec, 1, given)));
    expect(instances()).toHaveLength(NAMES.length);
    // Of two leases of one name, the one that wrote last may not be the one that is released.
    expect(registered).toHaveLength(NAMES.length);
    await publication.withdrawAll();
    expect(instances()).toEqual([]);
  });

  it('is withdrawn even when it is not through yet', async () => {
    const publishing = specs.map((spec) => publication.publish(spec, 1, given));
    await publication.withdrawAll();
    await Promise.all(publishing);
    expect(instances()).toEqual([]);
  });

  it('of the next life waits for that of the one before', async () => {
    await Promise.all([1, 2].flatMap((life) => specs.map((spec) => publication.publish(spec, life, given))));
    expect(instances().toSorted()).toEqual(NAMES.map((name) => `instance.${name}.2`).toSorted());
    await publication.withdrawAll();
    expect(instances()).toEqual([]);
  });

  it('can be tried again after a store that failed', async () => {
    space.failure = new Error('away');
    await expect(publication.publish(specs[0]!, 1, given)).rejects.toThrow('away');
    space.failure = null;
    await publication.publish(specs[0]!, 1, given);
    expect(instances()).toEqual(['instance.worker-0.1']);
  });
});
