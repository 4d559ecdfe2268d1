import type { Engine } from './engine.ts';
import type { EngineLog } from './engine-log.ts';
import type { RemotePrefill } from './kv-transfer-params.ts';
import type { MockerMetrics } from './metrics.ts';
import type { MockerOptions } from './options.ts';

/** What the HTTP surface needs of a worker. */
export interface Worker {
  options: MockerOptions;
  engine: Engine;
  metrics: MockerMetrics;
  log: EngineLog;
  /** Tells a prefill worker that its blocks will not be read. */
  releaseRemote(remote: RemotePrefill): void;
  /** Completion requests that have arrived, and those being answered. */
  load: { arrived: number; active: number };
}
