import type { ServerResponse } from 'node:http';
import { DynamoError } from '../base/errors.ts';
import { RequestFieldError } from '../openai/completion-request.ts';
import { errorBody, errorStatus } from '../openai/error-body.ts';
import { dataEvent } from '../openai/sse-events.ts';
import { inErrorEnvelope } from '../openai/worker-error.ts';
import type { ClientLink } from './client-link.ts';
import { WorkerReply } from './flow/worker-reply.ts';
import type { FrontendContext } from './frontend-context.ts';
import { endStreamWith } from './relay/client-stream.ts';
import type { RequestRecord } from './request-record.ts';
import { sendError } from './send-json.ts';
import { UpstreamFailure } from './upstream/upstream-failure.ts';

/** Status noted for a client that went away; nothing is sent. */
const CLIENT_GONE = 499;

/**
 * Ends a request that failed: a worker's own 4xx as it came, else an error body, or one error event when a stream has begun.
 * Notes in the record how it ended.
 */
export function reportFailure(
  context: FrontendContext,
  record: RequestRecord,
  link: ClientLink,
  response: ServerResponse,
  error: unknown,
): void {
  if (link.gone) {
    record.outcome = 'disconnected';
    record.status = CLIENT_GONE;
    return;
  }
  if (error instanceof WorkerReply && !response.headersSent) {
    record.outcome = 'rejected';
    record.status = error.status;
    record.errorType = 'worker_rejected';
    const body = inErrorEnvelope(error.body);
    response.writeHead(error.status, {
      'content-type': error.contentType,
      'content-length': body.length,
      'x-request-id': record.id,
    });
    response.end(body);
    return;
  }
  const shown = asClientError(error, link.cut);
  if (!(shown instanceof DynamoError)) context.log.error({ requestId: record.id, err: error }, 'bug in the frontend');
  record.status = errorStatus(shown);
  record.errorType = errorBody(shown).error.code;
  record.outcome = link.cut ? 'cut' : record.status < 500 ? 'rejected' : 'failed';
  if (shown instanceof DynamoError && !record.modelKnown) context.metrics.rejections.add(1, [record.errorType]);
  if (response.headersSent) endStreamWith(response, dataEvent(JSON.stringify(errorBody(shown))));
  else {
    const param = shown instanceof RequestFieldError ? shown.param : null;
    sendError(response, shown, { requestId: record.id, param, close: context.isDraining || record.status === 413 });
  }
}

/** What a client may know of a failure inside. */
function asClientError(error: unknown, cut: boolean): unknown {
  if (cut) return new DynamoError('SHUTTING_DOWN', 'this frontend is shutting down');
  if (!(error instanceof UpstreamFailure)) return error;
  if (error.reason === 'timeout') return new DynamoError('UPSTREAM_TIMEOUT', 'the worker did not answer in time');
  if (error.reason === 'unavailable') return new DynamoError('NO_INSTANCES', 'the workers are not ready for requests');
  return new DynamoError('UPSTREAM_ERROR', `the worker failed the request (${error.reason})`, { cause: error });
}
