import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstanceRecord } from '../../../src/discovery/discovery.ts';
import {
  formatCommit,
  formatInstance,
  isNewerLease,
  isSameInstance,
  parseCommit,
  parseInstance,
} from '../../../src/discovery/record-codec.ts';

const record: InstanceRecord = {
  deployment: 'd',
  name: 'prefill-0',
  generation: 1,
  role: 'prefill',
  host: 'local',
  model: 'm',
  engine: 'vllm',
  url: 'http://127.0.0.1:8101',
  processStart: 1767225600.25,
  kvBlockSize: 64,
  kvTotalBlocks: 100,
  maxModelLen: 4096,
  maxNumSeqs: 256,
  maxNumBatchedTokens: 8192,
  kvTransfer: 'vllm-nixl',
  state: 'ready',
  counter: 5,
};
const lease = { number: 2, token: 'abc' };
const text = formatInstance({ record, lease });

describe('instance records', () => {
  it('name the peers that failed the proof, or are refused', () => {
    const failedPeers = [{ name: 'decode-0', generation: 3 }];
    const stored = formatInstance({ record: { ...record, failedPeers }, lease });
    expect(parseInstance(stored)).toEqual({ record: { ...record, failedPeers }, lease });
    expect(isSameInstance(record, { ...record, failedPeers })).toBe(false);
    expect(parseInstance(stored.replace('"generation":3', '"generation":"x"'))).toBe(
      'failedPeers is not a list of names with generations',
    );
  });

  it('come back as they were, without keys of others', () => {
    expect(parseInstance(text)).toEqual({ record, lease });
    expect(parseInstance(JSON.stringify({ ...JSON.parse(text), future: 1 }))).toEqual({ record, lease });
  });

  it('may tell how hand-overs begin and whether failed ones are hard to see', () => {
    const kvEvents = { events: 'tcp://10.0.0.1:7100', replay: null, ranks: 2 };
    const more = { ...record, bootstrap: { host: '10.0.0.1', port: 8998 }, kvEvents, hybridKv: true };
    expect(parseInstance(formatInstance({ record: more, lease }))).toEqual({ record: more, lease });
    const unknown = { ...record, bootstrap: null, hybridKv: null };
    expect(parseInstance(formatInstance({ record: unknown, lease }))).toEqual({ record, lease });
  });

  it('say what is wrong with them', () => {
    const broken = (fields: object) => parseInstance(JSON.stringify({ ...JSON.parse(text), ...fields }));
    expect(parseInstance('')).toBe('it is empty');
    expect(parseInstance(text.slice(0, 40))).toBe('it is not JSON');
    expect(parseInstance('[]')).toBe('it is not a JSON object');
    expect(parseInstance('{}')).toBe('format missing is not 1');
    expect(broken({ format: 2 })).toBe('format 2 is not 1');
    expect(broken({ url: 7 })).toBe('url is not a string');
    expect(broken({ model: 7 })).toBe('model is neither a string nor null');
    expect(broken({ kvBlockSize: '64' })).toBe('kvBlockSize is neither a number nor null');
    expect(broken({ counter: -1 })).toBe('counter is not a whole number');
    expect(broken({ generation: 1.5 })).toBe('generation is not a whole number');
    expect(broken({ role: 'king' })).toBe('role "king" is unknown');
    expect(broken({ state: 'up' })).toBe('state is neither ready nor draining');
    expect(broken({ kvTransfer: 'carrier-pigeon' })).toBe('kvTransfer is unknown');
    expect(broken({ kvEvents: { events: 7100, replay: null, ranks: 1 } })).toMatch(/^kvEvents is neither/);
    expect(broken({ bootstrap: 8998 })).toBe('bootstrap is neither a host with a port nor null');
    expect(broken({ bootstrap: { host: 'h', port: '8998' } })).toBe('bootstrap is neither a host with a port nor null');
    expect(broken({ hybridKv: 'yes' })).toBe('hybridKv is neither true, false nor null');
    expect(broken({ lease: null })).toBe('lease is missing');
  });

  it('never throw, whatever they hold', () => {
    fc.assert(fc.property(fc.json(), (json) => void parseInstance(json)));
    fc.assert(fc.property(fc.json(), (json) => typeof parseCommit(json) === 'string'));
  });

  it('are the same to an observer unless something but the counter differs', () => {
    expect(isSameInstance(record, { ...record, counter: 9 })).toBe(true);
    expect(isSameInstance(record, { ...record, state: 'draining' })).toBe(false);
    expect(isSameInstance(record, { ...record, processStart: 2 })).toBe(false);
  });

  it('order their owners totally', () => {
    expect(isNewerLease({ number: 2, token: 'a' }, { number: 1, token: 'z' })).toBe(true);
    expect(isNewerLease({ number: 1, token: 'b' }, { number: 1, token: 'a' })).toBe(true);
    expect(isNewerLease(lease, lease)).toBe(false);
  });
});

describe('commit records', () => {
  it('come back as they were, or say what is wrong', () => {
    const commit = { deployment: 'd', generation: 3, planHash: 'f00', epoch: 1 };
    expect(parseCommit(formatCommit(commit))).toEqual(commit);
    expect(parseCommit('{"format":1,"deployment":"d","generation":3,"planHash":1,"epoch":1}')).toBe(
      'planHash is not a string',
    );
  });
});
