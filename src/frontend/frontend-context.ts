import type { Logger } from '../base/log.ts';
import type { DecisionLog } from './decision-log.ts';
import type { FrontendMetrics } from './frontend-metrics.ts';
import type { FrontendOptions } from './frontend-options.ts';
import type { InstanceTable } from './instances/instance-table.ts';
import type { ModelTable } from './model-table.ts';
import type { TransferEvidence } from './transfer/transfer-evidence.ts';
import type { ConnectionPool } from './upstream/connection-pool.ts';

/** What every request handler of one frontend shares. */
export interface FrontendContext {
  options: FrontendOptions;
  log: Logger;
  metrics: FrontendMetrics;
  pool: ConnectionPool;
  instances: InstanceTable;
  models: ModelTable;
  decisions: DecisionLog;
  transfers: TransferEvidence;
  /** Requests being served, to wait for or to cut when draining. */
  active: Set<{ abort(): void }>;
  /** No new requests are taken. */
  isDraining: boolean;
}
