import { FAILED_TRANSFERS, LEASE_OVERRUNS } from '../../engines/vllm/kv-transfer.ts';
import { parsePrometheusText, sumOf } from '../../telemetry/prometheus-text.ts';
import type { Origin } from '../upstream/connection.ts';
import type { ConnectionPool, Exchange } from '../upstream/connection-pool.ts';
import { fetchWhole } from '../upstream/fetch-whole.ts';
import { patience } from '../upstream/patience.ts';

/** What a vLLM worker has counted of its KV transfers. A counter it does not have stands at 0. */
export interface TransferCounters {
  /** Another value means another process, whose counters began anew. */
  processStart: number | undefined;
  /** Transfers to it that failed. */
  failedTransfers: number;
  /** Blocks it kept for others and gave up before they were read. */
  leaseOverruns: number;
}

const METRICS_LIMIT_BYTES = 8 * 1024 * 1024;

/** Reads a worker's counters from its /metrics. Rejects when it does not deliver them within `timeoutMs`. */
export async function readTransferCounters(
  pool: ConnectionPool,
  origin: Origin,
  timeoutMs: number,
): Promise<TransferCounters> {
  let current: Exchange | undefined;
  using _ = patience(timeoutMs, () => current?.abort());
  const head = `GET /metrics HTTP/1.1\r\nhost: ${origin.authority}\r\n\r\n`;
  const answer = await fetchWhole(pool, { origin, head, resendIfStale: true }, METRICS_LIMIT_BYTES, (exchange) => {
    current = exchange;
  });
  if (answer.head.status !== 200) throw new Error(`/metrics answered ${answer.head.status}`);
  const samples = parsePrometheusText(answer.body.toString('utf8'));
  const total = (name: string): number => sumOf(samples, name) ?? 0;
  return {
    processStart: sumOf(samples, 'process_start_time_seconds'),
    failedTransfers: total(FAILED_TRANSFERS),
    leaseOverruns: LEASE_OVERRUNS.reduce((sum, name) => sum + total(name), 0),
  };
}

/** Whether `after` shows more of `counter` than `before`, or comes from another process, of which nothing can be said. */
export function hasRisen(
  before: TransferCounters,
  after: TransferCounters,
  counter: 'failedTransfers' | 'leaseOverruns',
): boolean {
  return before.processStart !== after.processStart || after[counter] > before[counter];
}
