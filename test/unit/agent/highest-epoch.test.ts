import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HighestEpoch } from '../../../src/agent/highest-epoch.ts';
import { EventLog } from '../../../src/supervise/event-log.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
beforeEach(() => {
  tmp = tmpDir();
});
afterEach(() => tmp[Symbol.dispose]());
const open = () => new HighestEpoch(path.join(tmp.dir, 'epoch'), new EventLog(path.join(tmp.dir, 'events'), 'agent'));

describe('the highest epoch', () => {
  it('of an owner counts also when somebody else has had the idle host since, and after a restart of the agent', () => {
    const epoch = open();
    epoch.take(3, 'bob@one 1');
    epoch.take(1, 'ada@two 1');
    for (const seen of [epoch, open()]) {
      expect(() => seen.admit(2, 'bob@one 1', null)).toThrow('epoch 2 is over: this agent has seen 3');
      expect(() => seen.admit(4, 'bob@one 1', null)).not.toThrow();
      expect(() => seen.admit(1, 'eve@three 1', null)).not.toThrow();
      expect(() => seen.admit(9, 'bob@one 1', 'host-1 runs demo')).toThrow('host-1 runs demo that ada@two started');
    }
  });
});
