import { WholeBody } from './body-reader.ts';
import type { ConnectionPool, Exchange, UpstreamRequest } from './connection-pool.ts';
import type { ResponseHead } from './response-head.ts';

export interface WholeResponse {
  head: ResponseHead;
  body: Buffer;
}

/** Sends a request and takes the whole answer. Rejects with `UpstreamFailure`. `started` receives the exchange, to abort it. */
export function fetchWhole(
  pool: ConnectionPool,
  request: UpstreamRequest,
  limitBytes: number,
  started: (exchange: Exchange) => void,
): Promise<WholeResponse> {
  return new Promise((resolve, reject) => {
    let response: { head: ResponseHead; reader: WholeBody } | undefined;
    const exchange = pool.request(request, {
      head(head) {
        response = { head, reader: new WholeBody(head.framing, limitBytes) };
        return response.reader;
      },
      end: () => resolve({ head: response!.head, body: response!.reader.payload }),
      failed: reject,
    });
    started(exchange);
  });
}
