import type { DiscoveryBackendSpec } from '../discovery/create-discovery.ts';
import type { RouterMode } from '../routing/policy.ts';
import type { TransferGuardMode } from './transfer/guard-mode.ts';

/** Everything `dynamo frontend` takes. */
export interface FrontendOptions {
  httpHost: string;
  httpPort: number;
  deployment: string;
  processName: string;
  discovery: DiscoveryBackendSpec;
  discoveryTtlMs: number;
  routerMode: RouterMode;
  /** Tokens per block for routing. */
  kvCacheBlockSize: number;
  overlapScoreCredit: number;
  prefillLoadScale: number;
  temperature: number;
  routerTtlMs: number;
  /** Serve a request whole on a decode worker when no prefill worker takes it. */
  decodeFallback: boolean;
  /** How long prefill workers keep the blocks of a finished prefill. */
  kvLeaseMs: number;
  /** Whose answers are checked against the count of failed KV transfers. */
  kvTransferGuard: TransferGuardMode;
  /** How long a pair gets no requests after a failed transfer that may have shown as wrong text. */
  kvQuarantineMs: number;
  /** Longest silence of a worker within a request; 0 for no limit. */
  requestTimeoutMs: number;
  bodyLimitBytes: number;
  drainTimeoutMs: number;
  /** Callers may name workers and pass transfer parameters. */
  trustClientPins: boolean;
  /** Seed of the router's random choices. */
  seed: number;
}
