import type { IncomingMessage, ServerResponse } from 'node:http';
import { DynamoError } from '../base/errors.ts';
import type { WorkerRole } from '../base/role.ts';
import {
  type CompletionKind,
  type CompletionRequest,
  RequestFieldError,
  readCompletionRequest,
} from '../openai/completion-request.ts';
import { splitObstacleIn } from '../openai/leg-fields.ts';
import { ClientLink } from './client-link.ts';
import { DIALECTS } from './flow/dialects.ts';
import { type PreparedRequest, withUsageAsked } from './flow/prepared-request.ts';
import { nobodyLeft } from './flow/retry.ts';
import { serveEmbeddings } from './flow/serve-embeddings.ts';
import { serveRaced } from './flow/serve-raced.ts';
import { serveSplit } from './flow/serve-split.ts';
import { serveWhole } from './flow/serve-whole.ts';
import type { FrontendContext } from './frontend-context.ts';
import type { ServedModel } from './model-table.ts';
import { readBody } from './read-body.ts';
import { reportFailure } from './report-failure.ts';
import { forwardedHeaders, NO_PINS, requestIdOf, workerPinsOf } from './request-headers.ts';
import { RequestRecord } from './request-record.ts';
import { withoutUntrustedFields } from './untrusted-fields.ts';

const PATHS: Record<CompletionKind, string> = {
  chat: '/v1/chat/completions',
  text: '/v1/completions',
  embeddings: '/v1/embeddings',
};

/** Serves one completion request from its body to its log line. Never rejects. */
export async function serveCompletion(
  context: FrontendContext,
  kind: CompletionKind,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const record = new RequestRecord(requestIdOf(incoming.headers), kind);
  const link = new ClientLink(response);
  context.active.add(link);
  let active: string | undefined;
  try {
    if (context.isDraining) throw new DynamoError('SHUTTING_DOWN', 'this frontend is shutting down');
    const raw = await readBody(incoming, context.options.bodyLimitBytes);
    const request = readCompletionRequest(kind, raw);
    record.model = request.model;
    record.stream = request.stream;
    const model = context.models.get(request.model);
    if (model === undefined) throw missingModel(context, request.model);
    record.modelKnown = true;
    active = model.name;
    context.metrics.requestsStarted.add(1, [active]);
    context.metrics.activeRequests.add(1, [active]);
    await route(context, prepare(context, { record, request, model, response, link, incoming, raw }));
    record.status = 200;
  } catch (error) {
    reportFailure(context, record, link, response, error);
  } finally {
    context.active.delete(link);
    if (active !== undefined) context.metrics.activeRequests.add(-1, [active]);
    record.finish(context.metrics, context.log);
  }
}

/** A model whose workers are all gone may come back: clients should retry then, not give up. */
function missingModel(context: FrontendContext, name: string): DynamoError {
  return context.models.hasSeen(name)
    ? new DynamoError('NO_INSTANCES', `no worker serves \`${name}\` now`)
    : new DynamoError('MODEL_NOT_FOUND', `the model \`${name}\` is not served here`);
}

interface RawRequest {
  record: RequestRecord;
  request: CompletionRequest;
  model: ServedModel;
  response: ServerResponse;
  link: ClientLink;
  incoming: IncomingMessage;
  raw: Buffer;
}

function prepare(context: FrontendContext, given: RawRequest): PreparedRequest {
  const { record, request, incoming, raw } = given;
  const trusted = context.options.trustClientPins;
  const body = trusted ? raw : withoutUntrustedFields(request, raw);
  return {
    record,
    request,
    model: given.model,
    response: given.response,
    link: given.link,
    path: PATHS[request.kind],
    headers: forwardedHeaders(incoming.headers, record.id, trusted),
    body: withUsageAsked(request, body),
    clientBytes: raw.length,
    pins: trusted ? workerPinsOf(incoming.headers) : NO_PINS,
  };
}

/** Two legs where the model has prefill workers and the request can be split, else one worker. */
async function route(context: FrontendContext, prepared: PreparedRequest): Promise<void> {
  const has = (role: WorkerRole) => prepared.model.routers.has(role);
  if (prepared.request.kind === 'embeddings') return serveEmbeddings(context, prepared);
  if (!has('decode')) {
    if (has('prefill') && !has('aggregated')) throw nobodyLeft(prepared, 'decode', undefined);
    return serveWhole(context, prepared, 'aggregated');
  }
  if (!has('prefill') && has('aggregated')) return serveWhole(context, prepared, 'aggregated');
  const dialect = DIALECTS[prepared.model.kvTransfer ?? 'vllm-nixl'];
  const obstacle = splitObstacleIn(dialect.fields, prepared.request.fields);
  if (obstacle === undefined) {
    return 'raceBody' in dialect ? serveRaced(context, prepared, dialect) : serveSplit(context, prepared, dialect);
  }
  context.metrics.unsplitRequests.add(1, [prepared.model.name, obstacle]);
  if (has('aggregated')) return serveWhole(context, prepared, 'aggregated');
  if (dialect.decodeServesWhole) return serveWhole(context, prepared, 'decode', `unsplit_${obstacle}`);
  throw new RequestFieldError(
    `\`${prepared.model.name}\` runs on separate prefill and decode workers, which cannot serve this request (${obstacle})`,
    Object.hasOwn(prepared.request.fields, obstacle) ? obstacle : null,
  );
}
