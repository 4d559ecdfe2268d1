import { renderChat } from '../tokens/chat-template.ts';
import { encodeText } from '../tokens/mock-tokenizer.ts';
import {
  badParameter,
  badRequest,
  invalidField,
  missingField,
  modelNotFound,
  promptTooLong,
  tooManyStopStrings,
} from './api-error.ts';
import { type Body, flag, integer, optionalObject, tokenList } from './json-fields.ts';
import { messagesOf } from './messages.ts';
import type { MockerOptions } from './options.ts';
import { checkSampling, checkTools } from './sampling-checks.ts';

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
const MAX_STOP_STRINGS = 4;
/** Output length of a completion that names none. */
export const TEXT_TOKENS = 16;
/** In the order of precedence. */
const CHAT_LIMITS = ['max_completion_tokens', 'max_tokens'];
const TEXT_LIMITS = ['max_tokens'];

/** Throws vLLM's 400 for a body that is no object. */
export function asObject(value: unknown): Body {
  if (value === null) throw missingField(value);
  if (typeof value !== 'object' || Array.isArray(value)) {
    const problem = 'Input should be a valid dictionary or object to extract fields from';
    throw invalidField(problem, 'model_attributes_type', value);
  }
  return value as Body;
}

/** Throws vLLM's 404 for a model this worker does not serve; no model means the served one. */
export function checkModel(body: Body, options: MockerOptions): void {
  const model = body['model'];
  if (model === undefined || model === null || model === '' || model === options.modelName) return;
  if (typeof model !== 'string') throw invalidField('Input should be a valid string', 'string_type', model, 'model');
  throw modelNotFound(model, options.modelName);
}

/** Reads and checks the body of a completion request. Throws an `ApiError` for one that vLLM would refuse. */
export function parseCompletionRequest(
  kind: 'chat' | 'text',
  value: unknown,
  options: MockerOptions,
): CompletionRequest {
  const body = asObject(value);
  checkModel(body, options);
  if (kind === 'text') optionalObject(body, 'kv_transfer_params');
  const prompts = kind === 'chat' ? [chatPrompt(body)] : textPrompts(body);
  const limits = (kind === 'chat' ? CHAT_LIMITS : TEXT_LIMITS).map((field) => maxTokensOf(body, field, options));
  const limit = limits.find((given) => given !== undefined);
  const streamOptions = optionalObject(body, 'stream_options');
  const stream = flag(body, 'stream');
  if (streamOptions && Object.keys(streamOptions).length > 0 && !stream)
    throw badParameter('Stream options can only be defined when `stream=True`.', 'stream_options');
  const minTokens = integer(body, 'min_tokens') ?? 0;
  if (minTokens < 0) throw badRequest(`min_tokens must be greater than or equal to 0, got ${minTokens}.`);
  // Text is cut one token above what fits before it is counted.
  const isCut = kind === 'chat' || typeof [body['prompt']].flat()[0] === 'string';
  const maxTokens = prompts.map((prompt) =>
    outputLimit(prompt.length, isCut, limit ?? (kind === 'text' ? TEXT_TOKENS : options.defaultMaxTokens), options),
  );
  if (limit !== undefined && minTokens > limit) {
    throw badRequest(`min_tokens must be less than or equal to max_tokens=${limit}, got ${minTokens}.`);
  }
  const n = choicesPerPrompt(body);
  checkSampling(body, n);
  if (kind === 'chat') checkTools(body);
  return {
    kind,
    prompts,
    n,
    maxTokens,
    minTokens,
    stop: stopStrings(body['stop']),
    stopTokenIds: new Set(tokenList(body['stop_token_ids'], 'stop_token_ids') ?? []),
    seed: integer(body, 'seed') ?? 0,
    stream,
    includeUsage: streamOptions?.['include_usage'] === true,
    returnTokenIds: flag(body, 'return_token_ids'),
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
  if (typeof body['prompt'] !== 'string') throw missingField(body, 'prompt');
  return { tokens: encodeText(body['prompt']), body };
}

function outputLimit(promptTokens: number, isCut: boolean, limit: number, { maxModelLen }: MockerOptions): number {
  if (promptTokens > maxModelLen) throw promptTooLong(maxModelLen, promptTokens, isCut);
  const room = maxModelLen - promptTokens;
  // A prompt that fills everything: the limit is what is left.
  if (room === 0) throw tooFewTokens(0);
  return Math.min(limit, room);
}

function maxTokensOf(body: Body, field: string, { maxModelLen }: MockerOptions): number | undefined {
  const limit = integer(body, field);
  // It is named by its older name whichever was given.
  if (limit !== undefined && limit < 1) throw tooFewTokens(limit);
  if (limit !== undefined && limit > maxModelLen) {
    const advice = 'Please request fewer output tokens.';
    throw badParameter(
      `${field}=${limit} cannot be greater than max_model_len=${maxModelLen}. ${advice}`,
      field,
      limit,
    );
  }
  return limit;
}

const tooFewTokens = (limit: number): Error =>
  badParameter(`max_tokens must be at least 1, got ${limit}.`, 'max_tokens', limit);

function chatPrompt(body: Body): Uint32Array {
  const params = optionalObject(body, 'kv_transfer_params');
  // The tokens of leg 1, passed on by a router: no need to render and encode again.
  const known = tokenList(params?.['prompt_token_ids'], 'kv_transfer_params.prompt_token_ids');
  if (known && known.length > 0) return Uint32Array.from(known);
  return encodeText(renderChat(messagesOf(body)));
}

function textPrompts(body: Body): Uint32Array[] {
  const prompt = body['prompt'];
  if (prompt === undefined || prompt === null || prompt === '')
    throw badParameter('Either prompt or prompt_embeds must be provided and non-empty.', 'prompt');
  if (typeof prompt === 'string') return [encodeText(prompt)];
  if (!Array.isArray(prompt)) throw invalidField('Input should be a valid list', 'list_type', prompt, 'prompt');
  if (prompt.length === 0) throw badRequest('You must pass at least one prompt');
  if (typeof prompt[0] === 'number') return [Uint32Array.from(tokenList(prompt, 'prompt')!)];
  return prompt.map((item, index) =>
    typeof item === 'string'
      ? nonEmpty(encodeText(item))
      : nonEmpty(Uint32Array.from(tokenList(item, `prompt.${index}`) ?? [])),
  );
}

function nonEmpty(tokens: Uint32Array): Uint32Array {
  if (tokens.length === 0) throw badRequest('The decoder prompt cannot be empty');
  return tokens;
}

function choicesPerPrompt(body: Body): number {
  const n = integer(body, 'n') ?? 1;
  if (n < 1) throw badRequest(`n must be at least 1, got ${n}.`);
  if (n > MAX_CHOICES) {
    const advice = 'To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable.';
    throw badRequest(`n must be at most ${MAX_CHOICES}, got ${n}. ${advice}`);
  }
  return n;
}

function stopStrings(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.some((item) => typeof item !== 'string')) {
    throw invalidField('Input should be a valid string', 'string_type', value, 'stop');
  }
  if (list.length > MAX_STOP_STRINGS) throw tooManyStopStrings(list.length, MAX_STOP_STRINGS);
  if (list.includes('')) throw badRequest('stop cannot contain an empty string.');
  return list;
}

function requestedLogprobs(kind: 'chat' | 'text', body: Body): number {
  const field = kind === 'chat' ? 'top_logprobs' : 'logprobs';
  const asked = integer(body, field);
  if (kind === 'chat' && !flag(body, 'logprobs')) {
    if (asked) throw badParameter('when using `top_logprobs`, `logprobs` must be set to true.', 'top_logprobs');
    return -1;
  }
  const count = asked ?? (kind === 'chat' ? 0 : -1);
  if (count > 20) {
    const message = `Requested sample logprobs of ${count}, which is greater than max allowed: 20`;
    throw badParameter(message, 'logprobs', count);
  }
  return count;
}
