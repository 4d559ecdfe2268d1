import { findMember, type JsonMember, objectMembers, spliceBytes } from './json-members.ts';

/** Token counts of a response, as far as they are reported. */
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  /** Null when the engine does not say. */
  cachedTokens: number | null;
}

/**
 * Reads the top-level `usage` of a response body or of one stream chunk; undefined when it has none.
 * llama.cpp tells of cached tokens in `timings.cache_n`, which counts where the usage itself says nothing.
 */
export function readUsage(json: Buffer): Usage | undefined {
  const members = objectMembers(json);
  const found = usageAmong(json, members);
  if (found === undefined) return undefined;
  let usage: Record<string, unknown>;
  try {
    usage = JSON.parse(json.toString('utf8', found.valueStart, found.valueEnd)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const details = usage['prompt_tokens_details'];
  const cached: unknown =
    typeof details === 'object' && details !== null && 'cached_tokens' in details ? details.cached_tokens : null;
  return {
    promptTokens: asCount(usage['prompt_tokens']) ?? 0,
    completionTokens: asCount(usage['completion_tokens']) ?? 0,
    cachedTokens: asCount(cached) ?? timedCacheTokens(json, members ?? []),
  };
}

/**
 * The same JSON with `usage.prompt_tokens_details.cached_tokens` set to `cached`, all other bytes as they were.
 * Returned unchanged when it has no usage object.
 */
export function withCachedTokens(json: Buffer, cached: number): Buffer {
  const usage = usageAmong(json);
  if (usage === undefined) return json;
  const members = objectMembers(json, usage.valueStart, usage.valueEnd) ?? [];
  const details = findMember(members, 'prompt_tokens_details');
  if (details === undefined) {
    const comma = members.length > 0 ? ',' : '';
    const text = `${comma}"prompt_tokens_details":{"cached_tokens":${cached}}`;
    return spliceBytes(json, usage.valueEnd - 1, usage.valueEnd - 1, text);
  }
  const inner = objectMembers(json, details.valueStart, details.valueEnd);
  const value = inner && findMember(inner, 'cached_tokens');
  if (value) return spliceBytes(json, value.valueStart, value.valueEnd, String(cached));
  if (inner === undefined) {
    return spliceBytes(json, details.valueStart, details.valueEnd, `{"cached_tokens":${cached}}`);
  }
  const comma = inner.length > 0 ? ',' : '';
  return spliceBytes(json, details.valueEnd - 1, details.valueEnd - 1, `${comma}"cached_tokens":${cached}`);
}

function timedCacheTokens(json: Buffer, members: readonly JsonMember[]): number | null {
  const timings = findMember(members, 'timings');
  const inner = timings && objectMembers(json, timings.valueStart, timings.valueEnd);
  const cached = inner && findMember(inner, 'cache_n');
  return cached ? asCount(Number(json.toString('latin1', cached.valueStart, cached.valueEnd))) : null;
}

function usageAmong(json: Buffer, members = objectMembers(json)): JsonMember | undefined {
  const usage = members && findMember(members, 'usage');
  return usage && json[usage.valueStart] === 0x7b ? usage : undefined;
}

function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
