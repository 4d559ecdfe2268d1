import type { CompletionRequest } from '../openai/completion-request.ts';
import { hashBlocks, saltOf } from '../routing/block-hash.ts';
import type { RouteRequest } from '../routing/policy.ts';
import { type ChatMessage, renderChat } from '../tokens/chat-template.ts';
import { encodeText } from '../tokens/mock-tokenizer.ts';

/** Bytes of prompt taken for one token where no tokenizer is at hand. */
const BYTES_PER_TOKEN = 4;

const NO_BLOCKS = new Float64Array(0);

/**
 * What a router needs of a prompt: block hashes and token count. For the simulated engine they are exact. For others the
 * UTF-8 bytes stand in, four to a token: prompts that begin alike still have equal blocks, only their edges differ from the
 * engine's. Without `withBlocks` the count is an estimate from the body's size and nothing is hashed.
 */
export function routeRequestOf(
  request: CompletionRequest,
  bodyBytes: number,
  options: { engine: string | null; blockSize: number; withBlocks: boolean },
): RouteRequest {
  if (!options.withBlocks) return { blocks: NO_BLOCKS, promptTokens: Math.ceil(bodyBytes / BYTES_PER_TOKEN) };
  const tokens = promptTokens(request, options.engine);
  const cacheSalt = request.fields['cache_salt'];
  const salt = typeof cacheSalt === 'string' ? saltOf(cacheSalt) : 0;
  return { blocks: hashBlocks(tokens, options.blockSize, salt), promptTokens: tokens.length };
}

function promptTokens(request: CompletionRequest, engine: string | null): ArrayLike<number> {
  const encode = engine === 'mocker' ? encodeText : packBytes;
  if (request.kind === 'chat') return encode(renderChat(request.fields['messages'] as ChatMessage[]));
  const prompt = request.fields['prompt'];
  if (typeof prompt === 'string') return encode(prompt);
  const list = prompt as unknown[];
  if (typeof list[0] === 'number') return list as number[];
  // Several prompts run side by side; the first stands for all.
  return typeof list[0] === 'string' ? encode(list[0]) : (list[0] as number[]);
}

/** Four bytes to an id. */
function packBytes(text: string): Uint32Array {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(Math.ceil(bytes.length / BYTES_PER_TOKEN) * BYTES_PER_TOKEN);
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}
