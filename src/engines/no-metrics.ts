import type { EngineMetrics } from './engine.ts';

/** Of an engine that tells nothing by Prometheus' text format that dynamo could use; others fill in what they have. */
export const NO_METRICS: EngineMetrics = {
  path: null,
  requestsRunning: null,
  requestsWaiting: null,
  requestsFinished: null,
  kvCacheUsage: null,
  cachedTokens: null,
  promptTokens: null,
  generatedTokens: null,
  transfers: null,
  failedTransfers: [],
  kvCacheSize: null,
};
