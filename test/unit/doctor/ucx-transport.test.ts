import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { judgeTransport, type TransportSetting } from '../../../src/doctor/judge-transport.ts';
import { kindOf, payloadPaths } from '../../../src/doctor/ucx-transport.ts';
import type { RdmaFacts } from '../../../src/hosts/host-facts.ts';

/** Logs of two NIXL 1.5.1 agents (UCX 1.23) on one machine without a GPU, reduced to what UCX says of memory. */
const recorded = (name: string): string =>
  readFileSync(path.resolve(import.meta.dirname, '../../fixtures/ucx', `${name}.log`), 'utf8');

/** As printed on a machine with InfiniBand, UCX 1.20. */
const INTER_NODE = `
[1787640283.679600] [n:1:0] ucp_worker.c:1997 UCX  INFO  ucp_context_0 inter-node cfg#6 rma(rc_mlx5/ibp1:1) am(tcp/eth0)
[1787640283.679660] | ucp_context_0 inter-node cfg#6 | remote memory read by ucp_get*(multi) into cuda/GPU1 from cuda/dev[0]
[1787640283.679672] |                              0 | copy-out           | rc_mlx5/ibp1:1/path0
[1787640283.679673] |                          1..64 | software emulation | rc_mlx5/ibp1:1/path0
[1787640283.679673] |                        65..inf | zero-copy          | rc_mlx5/ibp1:1 50% on path0 and 50% on path1
`;

const port: RdmaFacts = {
  device: 'mlx5_0',
  port: 1,
  state: 'active',
  rateGbps: 400,
  linkLayer: 'InfiniBand',
  numaNode: 0,
  netdev: null,
};
const setting = (change: Partial<TransportSetting> = {}): TransportSetting => ({
  sameHost: true,
  onGpus: false,
  rdma: [],
  simulated: false,
  unreadable: [],
  ...change,
});

describe('payloadPaths', () => {
  it('takes the row of large payloads, not the lanes of the endpoint', () => {
    const log = recorded('shared-memory');
    expect(log).toContain('intra-node cfg#1 rma_am(tcp/lo)');
    const read = {
      scope: 'intra-node',
      operation: 'read',
      memory: 'host',
      how: 'zero-copy',
      transports: ['cma/memory'],
    };
    expect(payloadPaths(log)).toEqual([{ ...read, operation: 'write' }, read]);
  });

  it('recognises TCP', () => {
    expect(payloadPaths(recorded('tcp')).at(-1)).toEqual({
      scope: 'intra-node',
      operation: 'read',
      memory: 'host',
      how: 'software emulation',
      transports: ['tcp/lo'],
    });
  });

  it('reads the tables of other versions', () => {
    expect(payloadPaths(INTER_NODE)).toEqual([
      { scope: 'inter-node', operation: 'read', memory: 'cuda', how: 'zero-copy', transports: ['rc_mlx5/ibp1:1'] },
    ]);
  });

  it('finds nothing in a log without tables', () => {
    expect(payloadPaths('UCX  INFO  cfg#1 rma(tcp/eth0)\n| prefill-0 | ready |\n')).toEqual([]);
  });
});

describe('kindOf', () => {
  it.each([
    ['rc_mlx5/mlx5_0:1', 'rdma'],
    ['dc_mlx5/mlx5_0:1', 'rdma'],
    ['srd/efa0:1', 'rdma'],
    ['cuda_ipc/cuda', 'nvlink'],
    ['cma/memory', 'shared-memory'],
    ['tcp/eth0', 'tcp'],
    ['gdr_copy/cuda', 'other'],
  ])('%s is %s', (transport, kind) => expect(kindOf(transport)).toBe(kind));
});

describe('judgeTransport', () => {
  const tcp = payloadPaths(recorded('tcp'));
  const tcpBetween = tcp.map((path) => ({ ...path, scope: 'inter-node' }));

  it('is content with shared memory on one host and with RDMA between hosts', () => {
    expect(judgeTransport(payloadPaths(recorded('shared-memory')), setting())).toMatchObject({
      status: 'ok',
      kinds: ['shared-memory'],
    });
    expect(judgeTransport(payloadPaths(INTER_NODE), setting({ sameHost: false, rdma: [port] }))).toMatchObject({
      status: 'ok',
      kinds: ['rdma'],
    });
  });

  it('warns of TCP where there is RDMA, and says what to set', () => {
    expect(judgeTransport(tcpBetween, setting({ sameHost: false, rdma: [port] }))).toMatchObject({
      status: 'slow',
      message: expect.stringContaining('TCP, where RDMA (mlx5_0:1) was to be expected') as string,
      fix: expect.stringContaining('UCX_NET_DEVICES=mlx5_0:1') as string,
    });
  });

  it('takes TCP between hosts without active RDMA as it is', () => {
    const down = { ...port, state: 'down' };
    expect(judgeTransport(tcpBetween, setting({ sameHost: false, rdma: [down] })).status).toBe('ok');
  });

  it('warns of TCP within a host', () => {
    expect(judgeTransport(tcp, setting({ onGpus: true })).message).toContain('cuda_ipc');
    expect(judgeTransport(tcp, setting()).message).toContain('shared memory would do');
  });

  it('says what to set when the logs do not tell', () => {
    expect(judgeTransport([], setting({ sameHost: false, rdma: [port] }))).toMatchObject({
      status: 'unknown',
      fix: expect.stringContaining('UCX_PROTO_INFO') as string,
    });
    expect(judgeTransport([], setting({ simulated: true })).fix).toBeNull();
  });
});
