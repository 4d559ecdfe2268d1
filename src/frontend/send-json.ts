import type { ServerResponse } from 'node:http';
import { errorBody, errorStatus } from '../openai/error-body.ts';

/** Sends a JSON body with its length. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

/** Sends an error with its status. `close` also ends the connection, for a client that should go elsewhere. */
export function sendError(
  response: ServerResponse,
  error: unknown,
  options: { requestId?: string; param?: string | null; close?: boolean } = {},
): void {
  const headers: Record<string, string> = {};
  if (options.requestId !== undefined) headers['x-request-id'] = options.requestId;
  if (options.close === true) headers['connection'] = 'close';
  sendJson(response, errorStatus(error), errorBody(error, options.param ?? null), headers);
}
