import type { ServerResponse } from 'node:http';
import type { CompletionRequest } from '../../openai/completion-request.ts';
import { appendMember, editObject } from '../../openai/json-members.ts';
import type { ClientLink } from '../client-link.ts';
import type { ServedModel } from '../model-table.ts';
import type { WorkerPins } from '../request-headers.ts';
import type { RequestRecord } from '../request-record.ts';

/** A request that passed every check, with the bytes for workers. */
export interface PreparedRequest {
  record: RequestRecord;
  request: CompletionRequest;
  model: ServedModel;
  response: ServerResponse;
  link: ClientLink;
  /** `/v1/chat/completions`, `/v1/completions` or `/v1/embeddings`. */
  path: string;
  /** Header lines for every leg. */
  headers: string;
  /** The client's body, checked, and asking for usage where it is streamed. */
  body: Buffer;
  /** Bytes of the client's own body. */
  clientBytes: number;
  pins: WorkerPins;
}

const ASK_USAGE = '{"include_usage":true}';

/**
 * Asks for the usage event of a stream, which the frontend counts by and drops again when the client did not ask for it.
 * A client that set `stream_options` itself keeps its own.
 */
export function withUsageAsked(request: CompletionRequest, body: Buffer): Buffer {
  if (!request.stream || request.hasStreamOptions) return body;
  if (!Object.hasOwn(request.fields, 'stream_options')) return appendMember(body, 'stream_options', ASK_USAGE);
  return editObject(body, new Set(['stream_options']), [['stream_options', ASK_USAGE]]) ?? body;
}
