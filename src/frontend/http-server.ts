import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { DynamoError, systemCode } from '../base/errors.ts';
import { errorBody } from '../openai/error-body.ts';
import type { FrontendContext } from './frontend-context.ts';
import { healthOf, problemOf } from './health.ts';
import { sendJson } from './send-json.ts';
import { serveCompletion } from './serve-completion.ts';

/** Clients may keep idle connections this long. */
const KEEP_ALIVE_MS = 75_000;
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/** The frontend's HTTP server; not listening yet. */
export function createHttpServer(context: FrontendContext): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (request, response) =>
    handle(context, request, response),
  );
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A client that asks first need not send a body that is too large.
    const length = Number(request.headers['content-length'] ?? 0);
    if (length <= context.options.bodyLimitBytes) response.writeContinue();
    handle(context, request, response);
  });
  server.on('clientError', (error, socket) => refuseGarbage(error, socket as Socket));
  return server;
}

/** Listens. Throws `PORT_IN_USE`. Returns the port. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const inUse = systemCode(error) === 'EADDRINUSE';
      reject(inUse ? new DynamoError('PORT_IN_USE', `port ${port} on ${host} is taken`, { cause: error }) : error);
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

function handle(context: FrontendContext, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0] ?? '/';
  switch (`${request.method} ${path}`) {
    case 'POST /v1/chat/completions':
      void serveCompletion(context, 'chat', request, response);
      break;
    case 'POST /v1/completions':
      void serveCompletion(context, 'text', request, response);
      break;
    case 'POST /v1/embeddings':
      void serveCompletion(context, 'embeddings', request, response);
      break;
    case 'GET /v1/models':
      sendJson(response, 200, listModels(context));
      break;
    case 'GET /health': {
      const health = healthOf(context);
      sendJson(response, health.status === 'ready' ? 200 : 503, health);
      break;
    }
    case 'GET /live':
      sendJson(response, 200, { status: 'live', message: 'Service is live' });
      break;
    case 'GET /metrics':
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(context.metrics.registry.expose());
      break;
    case 'GET /router/decisions':
      if (LOOPBACK.has(request.socket.remoteAddress ?? '')) {
        sendJson(response, 200, { decisions: context.decisions.list() });
      } else refuseUnknown(request, response, path);
      break;
    default:
      refuseUnknown(request, response, path);
  }
}

function refuseUnknown(request: IncomingMessage, response: ServerResponse, path: string): void {
  request.resume();
  const message = `no such endpoint: ${request.method} ${path}`;
  sendJson(response, 404, { error: { message, type: 'invalid_request_error', param: null, code: 'not_found' } });
}

/** Models that can be served now. */
function listModels(context: FrontendContext) {
  const data = context.models
    .list()
    .filter((model) => problemOf(context, model) === undefined)
    .map((model) => ({
      id: model.name,
      object: 'model',
      created: model.createdAt,
      owned_by: 'dynamo',
      max_model_len: model.maxModelLen,
    }));
  return { object: 'list', data };
}

/** Bytes that are no HTTP get an answer, not a stack. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const body = JSON.stringify(errorBody(new DynamoError('INVALID_REQUEST', 'the request is not valid HTTP')));
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
