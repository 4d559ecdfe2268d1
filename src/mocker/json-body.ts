import type { IncomingMessage } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { bodyTooLarge, invalidJson, missingField, wrongContentType } from './api-error.ts';

const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** Reads a request's JSON body. Throws an `ApiError` in vLLM's words for what is none. */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (contentType !== 'application/json') throw wrongContentType();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw bodyTooLarge();
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') throw missingField(null);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidJson(errorPosition(messageOf(error), text));
  }
}

/** Where JSON stopped being JSON, as far as the parser's message tells; else the end of the text. */
function errorPosition(message: string, text: string): number {
  const position = /position (\d+)/.exec(message)?.[1];
  return position === undefined ? text.length : Number(position);
}
