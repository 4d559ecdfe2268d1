import type { Instance } from '../../src/discovery/discovery.ts';

/** A decode worker of deployment `demo`; `fields` override. */
export function makeInstance(name: string, generation = 1, fields: Partial<Instance> = {}): Instance {
  return {
    deployment: 'demo',
    name,
    generation,
    role: 'decode',
    host: 'local',
    model: 'tiny',
    engine: 'mocker',
    url: 'http://127.0.0.1:8101',
    processStart: 1767225600.25,
    kvBlockSize: 64,
    kvTotalBlocks: 16384,
    maxModelLen: 131072,
    maxNumSeqs: 256,
    maxNumBatchedTokens: 8192,
    kvTransfer: 'vllm-nixl',
    ...fields,
  };
}
