import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { decodeText } from '../tokens/mock-tokenizer.ts';
import { ApiError, internalError, methodNotAllowed, notFound } from './api-error.ts';
import { asObject, checkModel, parseTokenizeRequest } from './completion-request.ts';
import { handleCompletion } from './completions.ts';
import { readJsonBody } from './json-body.ts';
import { requiredTokens } from './json-fields.ts';
import { handleRender } from './render.ts';
import { sendJson } from './send-json.ts';
import type { Worker } from './worker.ts';

type Handler = (worker: Worker, request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** The version whose surface and wording this server follows. */
const VERSION = '0.32.0+mocker';

const ROUTES: Record<string, Partial<Record<string, Handler>>> = {
  '/health': { GET: answerEmpty },
  '/ping': { GET: answerEmpty, POST: answerEmpty },
  '/version': { GET: (_worker, _request, response) => sendJson(response, 200, { version: VERSION }) },
  '/load': { GET: (worker, _request, response) => sendJson(response, 200, { server_load: worker.load.active }) },
  '/metrics': { GET: sendMetrics },
  '/v1/models': { GET: sendModels },
  '/tokenize': { POST: tokenize },
  '/detokenize': { POST: detokenize },
  '/v1/chat/completions': { POST: (...args) => handleCompletion('chat', ...args) },
  '/v1/completions': { POST: (...args) => handleCompletion('text', ...args) },
  '/v1/chat/completions/render': { POST: (...args) => handleRender('chat', ...args) },
  '/v1/completions/render': { POST: (...args) => handleRender('text', ...args) },
};

/** Answers one request, with an error in vLLM's shape when it cannot. Never throws. */
export async function handleRequest(worker: Worker, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const path = (request.url ?? '/').split('?')[0]!;
    const methods = ROUTES[path];
    if (!methods) throw notFound();
    const handler = methods[request.method === 'HEAD' ? 'GET' : request.method!];
    if (!handler) throw methodNotAllowed();
    await handler(worker, request, response);
  } catch (error) {
    sendError(worker, request, response, error);
  }
}

function sendError(worker: Worker, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  // The client went away while it sent its body.
  if (response.destroyed || request.errored) return;
  if (!(error instanceof ApiError)) worker.log.error(`Error in ${request.url}: ${messageOf(error)}`);
  const answer = error instanceof ApiError ? error : internalError();
  if (response.headersSent) response.destroy();
  else {
    // What is left of a body nobody reads must not be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    sendJson(response, answer.status, answer.body);
  }
}

function answerEmpty(_worker: Worker, _request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-length': 0 }).end();
}

function sendMetrics({ metrics, engine, options }: Worker, _request: IncomingMessage, response: ServerResponse): void {
  const text = metrics.render(engine.stats, options, process.memoryUsage.rss());
  response.writeHead(200, {
    'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function sendModels({ options }: Worker, _request: IncomingMessage, response: ServerResponse): void {
  const created = Math.floor(Date.now() / 1_000);
  const { modelName: id, maxModelLen } = options;
  sendJson(response, 200, {
    object: 'list',
    data: [{ id, object: 'model', created, owned_by: 'vllm', root: id, parent: null, max_model_len: maxModelLen }],
  });
}

async function tokenize({ options }: Worker, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { tokens, body } = parseTokenizeRequest(await readJsonBody(request), options);
  sendJson(response, 200, {
    count: tokens.length,
    max_model_len: options.maxModelLen,
    tokens: [...tokens],
    token_strs: body['return_token_strs'] === true ? [...tokens].map((token) => decodeText([token])) : null,
  });
}

async function detokenize({ options }: Worker, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = asObject(await readJsonBody(request));
  checkModel(body, options);
  sendJson(response, 200, { prompt: decodeText(requiredTokens(body, 'tokens')) });
}
