import { DynamoError } from '../base/errors.ts';

/** `chat` is POST /v1/chat/completions, `text` is POST /v1/completions, `embeddings` is POST /v1/embeddings. */
export type CompletionKind = 'chat' | 'text' | 'embeddings';

/** What the frontend reads of a request. Everything else passes through on the client's own bytes. */
export interface CompletionRequest {
  kind: CompletionKind;
  model: string;
  stream: boolean;
  /** The client asked for the usage event of a stream. */
  includeUsage: boolean;
  /** Whether `stream_options` is present and not null. */
  hasStreamOptions: boolean;
  /** Most tokens to generate, null when the client leaves it to the engine. */
  maxTokens: number | null;
  /** The parsed body. */
  fields: Readonly<Record<string, unknown>>;
}

/** A schema error names the field. */
export class RequestFieldError extends DynamoError {
  readonly param: string | null;

  constructor(message: string, param: string | null) {
    super('INVALID_REQUEST', message);
    this.param = param;
  }
}

/**
 * Reads a request body. Checks what the frontend relies on and leaves the rest to the engine.
 * Throws `INVALID_REQUEST` (a `RequestFieldError`) on malformed JSON or a wrong type.
 */
export function readCompletionRequest(kind: CompletionKind, body: Buffer): CompletionRequest {
  const fields = parseObject(body);
  const model = fields['model'];
  if (typeof model !== 'string' || model === '') throw new RequestFieldError('`model` must be a string', 'model');
  if (kind === 'embeddings') return readEmbeddingsRequest(model, fields);
  if (kind === 'chat') checkMessages(fields['messages']);
  else checkPrompt(fields['prompt'], 'prompt');
  const stream = optional(fields, 'stream', 'boolean') ?? false;
  const streamOptions = fields['stream_options'] ?? null;
  if (streamOptions !== null && (typeof streamOptions !== 'object' || Array.isArray(streamOptions))) {
    throw new RequestFieldError('`stream_options` must be an object', 'stream_options');
  }
  return {
    kind,
    model,
    stream,
    includeUsage: streamOptions !== null && (streamOptions as Record<string, unknown>)['include_usage'] === true,
    hasStreamOptions: streamOptions !== null,
    maxTokens: tokenLimit(fields, 'max_completion_tokens') ?? tokenLimit(fields, 'max_tokens'),
    fields,
  };
}

/** Its input stands as the prompt, which is what routing looks at. Nothing of it is streamed. */
function readEmbeddingsRequest(model: string, fields: Record<string, unknown>): CompletionRequest {
  // Engines also embed a chat.
  if (fields['input'] === undefined && fields['messages'] !== undefined) checkMessages(fields['messages']);
  else checkPrompt(fields['input'], 'input');
  return {
    kind: 'embeddings',
    model,
    stream: false,
    includeUsage: false,
    hasStreamOptions: false,
    maxTokens: 0,
    fields: { ...fields, prompt: fields['input'] ?? '' },
  };
}

function parseObject(body: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    // V8's message quotes the text around the fault, which may be part of a prompt: keep the position only.
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    throw new RequestFieldError(`the body is not valid JSON${position ? ` (position ${position})` : ''}`, null);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new RequestFieldError('the body must be a JSON object', null);
  }
  return parsed as Record<string, unknown>;
}

function checkMessages(messages: unknown): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new RequestFieldError('`messages` must be a non-empty array', 'messages');
  }
  for (const [index, message] of messages.entries()) {
    const role: unknown = typeof message === 'object' && message !== null ? message.role : undefined;
    if (typeof role !== 'string') {
      throw new RequestFieldError(`\`messages[${index}].role\` must be a string`, `messages.${index}.role`);
    }
  }
}

/** A string, token ids, or a list of either. */
function checkPrompt(prompt: unknown, field: 'prompt' | 'input'): void {
  if (typeof prompt === 'string') return;
  const first: unknown = Array.isArray(prompt) ? prompt[0] : undefined;
  if (typeof first === 'string' || typeof first === 'number' || Array.isArray(first)) return;
  throw new RequestFieldError(`\`${field}\` must be a string, token ids, or a non-empty list of these`, field);
}

function optional(fields: Record<string, unknown>, key: string, type: 'boolean'): boolean | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw new RequestFieldError(`\`${key}\` must be a ${type}`, key);
  return value as boolean;
}

function tokenLimit(fields: Record<string, unknown>, key: string): number | null {
  const value = fields[key];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new RequestFieldError(`\`${key}\` must be a non-negative integer`, key);
  }
  return value;
}
