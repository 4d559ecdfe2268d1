import type { Engine } from './engine.ts';
import type { EngineLog } from './engine-log.ts';
import type { MockerMetrics } from './metrics.ts';
import type { MockerOptions } from './options.ts';

/** What the HTTP surface needs of a worker. */
export interface Worker {
  options: MockerOptions;
  engine: Engine;
  metrics: MockerMetrics;
  log: EngineLog;
  /** Completion requests that have arrived, and those being answered. */
  load: { arrived: number; active: number };
}
