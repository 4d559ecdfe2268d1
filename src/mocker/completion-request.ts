import { type ChatMessage, renderChat } from '../tokens/chat-template.ts';
import { encodeText } from '../tokens/mock-tokenizer.ts';
import { badRequest, invalidField, modelNotFound, outputTooLong, promptTooLong } from './api-error.ts';
import type { MockerOptions } from './options.ts';

/** A completion request of either endpoint, checked and with its prompts as token ids. */
export interface CompletionRequest {
  kind: 'chat' | 'text';
  prompts: Uint32Array[];
  /** Choices per prompt. */
  n: number;
  maxTokens: number[];
  minTokens: number;
  stop: string[];
  stopTokenIds: Set<number>;
  seed: number;
  stream: boolean;
  includeUsage: boolean;
  returnTokenIds: boolean;
  /** Alternatives to list with each token; −1 for no log probabilities. */
  logprobs: number;
}

/** As vLLM limits it. */
const MAX_CHOICES = 16_384;

type Body = Record<string, unknown>;

export function asObject(value: unknown): Body {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField('', 'Input should be a valid dictionary', 'dict_type');
  }
  return value as Body;
}

/** Throws vLLM's 404 for a model this worker does not serve; no model means the served one. */
export function checkModel(body: Body, options: MockerOptions): void {
  const model = body['model'];
  if (model === undefined || model === null || model === options.modelName) return;
  if (typeof model !== 'string') throw invalidField('model', 'Input should be a valid string', 'string_type');
  throw modelNotFound(model);
}

/** Reads and checks the body of a completion request. Throws an `ApiError` for one that vLLM would refuse. */
export function parseCompletionRequest(
  kind: 'chat' | 'text',
  value: unknown,
  options: MockerOptions,
): CompletionRequest {
  const body = asObject(value);
  checkModel(body, options);
  const prompts = kind === 'chat' ? [chatPrompt(body)] : textPrompts(body);
  const limit =
    (kind === 'chat' ? integer(body, 'max_completion_tokens', 1) : undefined) ?? integer(body, 'max_tokens', 1);
  const streamOptions = optionalObject(body, 'stream_options');
  const stream = body['stream'] === true;
  if (streamOptions && !stream)
    throw badRequest('Stream options can only be defined when `stream=True`.', 'stream_options');
  const minTokens = integer(body, 'min_tokens', 0) ?? 0;
  const maxTokens = prompts.map((prompt) => outputLimit(prompt.length, limit, options));
  if (limit !== undefined && minTokens > limit) {
    throw badRequest(`min_tokens must be less than or equal to max_tokens=${limit}, got ${minTokens}.`, 'min_tokens');
  }
  return {
    kind,
    prompts,
    n: choicesPerPrompt(body),
    maxTokens,
    minTokens,
    stop: stopStrings(body['stop']),
    stopTokenIds: new Set(tokenList(body['stop_token_ids'], 'stop_token_ids') ?? []),
    seed: integer(body, 'seed', Number.MIN_SAFE_INTEGER) ?? 0,
    stream,
    includeUsage: streamOptions?.['include_usage'] === true,
    returnTokenIds: body['return_token_ids'] === true,
    logprobs: requestedLogprobs(kind, body),
  };
}

/** Token ids of the prompt or messages of a `/tokenize` request. */
export function parseTokenizeRequest(value: unknown, options: MockerOptions): { tokens: Uint32Array; body: Body } {
  const body = asObject(value);
  checkModel(body, options);
  if (Array.isArray(body['messages'])) {
    return { tokens: encodeText(renderChat(messagesOf(body), body['add_generation_prompt'] !== false)), body };
  }
  if (typeof body['prompt'] !== 'string') throw invalidField('prompt', 'Field required', 'missing');
  return { tokens: encodeText(body['prompt']), body };
}

function outputLimit(promptTokens: number, limit: number | undefined, options: MockerOptions): number {
  if (promptTokens >= options.maxModelLen) throw promptTooLong(options.maxModelLen, promptTokens);
  const room = options.maxModelLen - promptTokens;
  if (limit === undefined) return Math.min(options.defaultMaxTokens, room);
  if (limit > room) throw outputTooLong(options.maxModelLen, promptTokens, limit);
  return limit;
}

function chatPrompt(body: Body): Uint32Array {
  const params = optionalObject(body, 'kv_transfer_params');
  // The tokens of leg 1, passed on by a router: no need to render and encode again.
  const known = tokenList(params?.['prompt_token_ids'], 'kv_transfer_params.prompt_token_ids');
  if (known && known.length > 0) return Uint32Array.from(known);
  return encodeText(renderChat(messagesOf(body)));
}

function messagesOf(body: Body): ChatMessage[] {
  const messages = body['messages'];
  if (messages === undefined) throw invalidField('messages', 'Field required', 'missing');
  if (!Array.isArray(messages)) throw invalidField('messages', 'Input should be a valid list', 'list_type');
  if (messages.length === 0) throw badRequest('messages must not be empty', 'messages');
  for (const [index, message] of messages.entries()) {
    if (typeof message !== 'object' || message === null || typeof message.role !== 'string') {
      throw invalidField(`messages.${index}.role`, 'Field required', 'missing');
    }
  }
  return messages as ChatMessage[];
}

function textPrompts(body: Body): Uint32Array[] {
  const prompt = body['prompt'];
  if (prompt === undefined || prompt === null)
    throw badRequest('Either prompt or prompt_embeds must be provided and non-empty.', 'prompt');
  if (typeof prompt === 'string') return [nonEmpty(encodeText(prompt))];
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw invalidField('prompt', 'Input should be a valid string or list', 'string_type');
  }
  if (typeof prompt[0] === 'number') return [Uint32Array.from(tokenList(prompt, 'prompt')!)];
  return prompt.map((item, index) =>
    typeof item === 'string'
      ? nonEmpty(encodeText(item))
      : nonEmpty(Uint32Array.from(tokenList(item, `prompt.${index}`) ?? [])),
  );
}

function nonEmpty(tokens: Uint32Array): Uint32Array {
  if (tokens.length === 0) throw badRequest('The decoder prompt cannot be empty', 'prompt');
  return tokens;
}

function tokenList(value: unknown, field: string): number[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalidField(field, 'Input should be a valid list', 'list_type');
  for (const token of value) {
    if (!Number.isInteger(token) || token < 0 || token > 0xffffffff) {
      throw invalidField(field, 'Input should be a list of token ids', 'int_type');
    }
  }
  return value;
}

function integer(body: Body, field: string, least: number): number | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw invalidField(field, 'Input should be a valid integer', 'int_type');
  }
  if (value < least) throw badRequest(`${field} must be at least ${least}, got ${value}.`, field);
  return value;
}

function optionalObject(body: Body, field: string): Record<string, unknown> | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalidField(field, 'Input should be a valid dictionary', 'dict_type');
  }
  return value as Record<string, unknown>;
}

function choicesPerPrompt(body: Body): number {
  const n = integer(body, 'n', 1) ?? 1;
  if (n > MAX_CHOICES) throw badRequest(`n must be at most ${MAX_CHOICES}, got ${n}.`, 'n');
  return n;
}

function stopStrings(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.some((item) => typeof item !== 'string')) {
    throw invalidField('stop', 'Input should be a valid string or list of strings', 'string_type');
  }
  if (list.includes('')) throw badRequest('stop cannot contain an empty string.', 'stop');
  return list;
}

function requestedLogprobs(kind: 'chat' | 'text', body: Body): number {
  const field = kind === 'chat' ? 'top_logprobs' : 'logprobs';
  if (kind === 'chat' && body['logprobs'] !== true) return -1;
  const count = integer(body, field, 0) ?? (kind === 'chat' ? 0 : -1);
  if (count > 20) {
    throw badRequest(`Requested sample logprobs of ${count}, which is greater than max allowed: 20`, field);
  }
  return count;
}
