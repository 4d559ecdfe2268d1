import type { Fault } from './faults.ts';
import type { MockerNode } from './node-group.ts';

/** ZeroMQ addresses to bind: `tcp://*:5557`. */
export interface KvEventOptions {
  endpoint: string;
  replayEndpoint: string | null;
}

/** Everything a simulated worker needs to know; `commands/mocker.ts` has the flags and their defaults. */
export interface MockerOptions {
  /** Names it answers to; the first is reported. */
  modelName: string;
  host: string;
  port: number;
  /** `agg` ignores `kv_transfer_params`, the others hand over KV cache. */
  disaggregationMode: 'agg' | 'prefill' | 'decode';
  blockSize: number;
  totalBlocks: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  maxModelLen: number;
  enablePrefixCaching: boolean;
  enableChunkedPrefill: boolean;
  /** Tokens produced when a chat names no limit. */
  defaultMaxTokens: number;
  speedupRatio: number;
  decodeSpeedupRatio: number;
  /** 10⁹ bytes a second; 0 means that a transfer takes no time. */
  kvTransferBandwidthGBps: number;
  kvBytesPerToken: number;
  kvLeaseMs: number;
  /** What a decode worker does when a transfer fails. */
  kvLoadFailurePolicy: 'fail' | 'recompute';
  /** Address of the side channel, bound and advertised. */
  sideChannelHost: string;
  sideChannelPort: number;
  startupMs: number;
  shutdownTimeoutMs: number;
  /** Idle connections are closed after this long. */
  keepAliveMs: number;
  /** Where it publishes KV events; absent: it publishes none. */
  kvEvents?: KvEventOptions;
  /** Whether the render endpoints answer. */
  enableScaleOut: boolean;
  seed: number;
  /** Its part of a worker over several hosts; absent: it is one by itself. */
  node?: MockerNode;
  faults: readonly Fault[];
}
