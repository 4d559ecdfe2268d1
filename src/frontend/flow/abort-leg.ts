import { abortBody } from '../../engines/sglang/kv-transfer.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import type { Exchange } from '../upstream/connection-pool.ts';
import { fetchWhole } from '../upstream/fetch-whole.ts';

const ABORT_TIMEOUT_MS = 2_000;
const ANSWER_LIMIT_BYTES = 65_536;

/**
 * Tells a worker by id to give up requests, then cuts the exchange they came on. Cutting alone is not enough: a leg that waits for
 * its peer may not notice for minutes, and a torn connection has upset NIXL. Never rejects.
 */
export async function abortLeg(
  context: FrontendContext,
  instance: KnownInstance,
  rids: readonly string[],
  exchange: Exchange | undefined,
): Promise<void> {
  await Promise.all(rids.map((rid) => abortRequest(context, instance, rid)));
  exchange?.abort();
}

async function abortRequest(context: FrontendContext, { origin, record }: KnownInstance, rid: string): Promise<void> {
  const body = abortBody(rid);
  const head = `POST /abort_request HTTP/1.1\r\nhost: ${origin.authority}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  let current: Exchange | undefined;
  const timer = setTimeout(() => current?.abort(), ABORT_TIMEOUT_MS);
  try {
    await fetchWhole(context.pool, { origin, head, body, resendIfStale: true }, ANSWER_LIMIT_BYTES, (exchange) => {
      current = exchange;
    });
  } catch {
    context.log.debug({ worker: record.name, rid }, 'a worker did not take the abort of a request');
  } finally {
    clearTimeout(timer);
  }
}
