import type { Generation } from './generation.ts';

/** vLLM's `usage` object over the choices of one answer, as JSON. Each prompt counts once, however many choices it has. */
export function usageJson(generations: readonly Generation[], n: number): string {
  let prompt = 0;
  let cached = 0;
  let completion = 0;
  for (const [index, generation] of generations.entries()) {
    completion += generation.tokens.length;
    if (index % n !== 0) continue;
    prompt += generation.options.prompt.length;
    cached += generation.cachedTokens;
  }
  return `{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion},"prompt_tokens_details":{"cached_tokens":${cached},"created_cache_tokens":null,"multimodal_tokens":null}}`;
}
