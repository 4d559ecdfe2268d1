import type { Usage } from './request-record.ts';

/** What one completion object (a streamed chunk or a whole response) holds. */
export interface Completion {
  /** `reasoning` when it has reasoning text and no other. */
  content: 'none' | 'reasoning' | 'output';
  finishReason: string | null;
  usage: Usage | null;
  /** Set when the object is an error: an in-band error event, or an error body. */
  error: { type: string; message: string } | null;
}

const MAX_MESSAGE = 200;

/** Reads an OpenAI chat or text completion object. Throws `SyntaxError` when the text is not JSON, and reads unknown shapes as empty. */
export function readCompletion(text: string): Completion {
  const json: unknown = JSON.parse(text);
  const object = asObject(json);
  const choice = asObject(Array.isArray(object?.['choices']) ? object['choices'][0] : undefined);
  const reason = choice?.['finish_reason'];
  return {
    content: choice ? contentOf(choice) : 'none',
    finishReason: typeof reason === 'string' ? reason : null,
    usage: readUsage(asObject(object?.['usage'])),
    error: object && readError(object),
  };
}

function contentOf(choice: Record<string, unknown>): Completion['content'] {
  // Text completions have `text`, streamed chats `delta`, whole chats `message`.
  if (filled(choice['text'])) return 'output';
  const part = asObject(choice['delta']) ?? asObject(choice['message']);
  if (!part) return 'none';
  if (filled(part['content']) || (Array.isArray(part['tool_calls']) && part['tool_calls'].length > 0)) return 'output';
  return filled(part['reasoning_content']) || filled(part['reasoning']) ? 'reasoning' : 'none';
}

function readUsage(usage: Record<string, unknown> | null): Usage | null {
  const promptTokens = usage?.['prompt_tokens'];
  const completionTokens = usage?.['completion_tokens'];
  if (typeof promptTokens !== 'number' || typeof completionTokens !== 'number') return null;
  const cached = asObject(usage?.['prompt_tokens_details'])?.['cached_tokens'];
  return { promptTokens, completionTokens, cachedTokens: typeof cached === 'number' ? cached : null };
}

function readError(object: Record<string, unknown>): Completion['error'] {
  const error = object['error'];
  if (error === undefined || error === null) {
    // vLLM before 0.11 and some proxies answer with the error's fields at the top.
    if (object['object'] !== 'error' && !filled(object['detail'])) return null;
    return { type: String(object['type'] ?? 'error'), message: cut(String(object['message'] ?? object['detail'])) };
  }
  const fields = asObject(error);
  if (!fields) return { type: 'error', message: cut(String(error)) };
  const type = fields['type'] ?? fields['code'] ?? 'error';
  return { type: String(type), message: cut(String(fields['message'] ?? '')) };
}

const filled = (value: unknown): boolean => typeof value === 'string' && value !== '';
const cut = (text: string): string => (text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text);

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
