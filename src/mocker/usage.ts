import type { CompletionRequest } from './completion-request.ts';
import type { Generation } from './generation.ts';

/** In place of vLLM's version and a hash of its configuration. */
export const FINGERPRINT = 'vllm-0.32.0-mocker';

/** vLLM's `usage` object over the choices of one answer, as JSON. Each prompt counts once, however many choices it has. */
export function usageJson(generations: readonly Generation[], request: CompletionRequest): string {
  const { counts, cached, created } = count(generations, request);
  const details = `"prompt_tokens_details":{"cached_tokens":${cached},"created_cache_tokens":${created},"multimodal_tokens":null}`;
  return `{${counts},${details},"completion_tokens_details":null}`;
}

/** The same in the last event of a stream, which leaves out what is null: members of the event. */
export function streamedUsageJson(generations: readonly Generation[], request: CompletionRequest): string {
  const { counts, cached, created } = count(generations, request);
  const details = `"cached_tokens":${cached}${created === null ? '' : `,"created_cache_tokens":${created}`}`;
  return `"usage":{${counts},"prompt_tokens_details":{${details}}},"system_fingerprint":"${FINGERPRINT}"`;
}

interface Counts {
  counts: string;
  cached: number;
  /** Tokens in blocks that this answer added to the cache; vLLM says so of chats only. */
  created: number | null;
}

function count(generations: readonly Generation[], { kind, n }: CompletionRequest): Counts {
  let prompt = 0;
  let cached = 0;
  let created = 0;
  let completion = 0;
  for (const [index, generation] of generations.entries()) {
    completion += generation.tokens.length;
    if (index % n !== 0) continue;
    const { length } = generation.options.prompt;
    const { blockSize } = generation.options;
    prompt += length;
    cached += generation.cachedTokens;
    if (generation.externalTokens === 0)
      created += Math.max(0, Math.floor(length / blockSize) * blockSize - generation.cachedTokens);
  }
  const counts = `"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion}`;
  return { counts, cached, created: kind === 'chat' ? created : null };
}
