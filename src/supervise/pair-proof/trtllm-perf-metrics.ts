/** What TensorRT-LLM reports of one finished request in `/perf_metrics` (`tensorrt_llm/serve/openai_server.py`). */
export interface RequestTiming {
  /** Id of the context request, digit for digit; null where the entry names none. */
  contextId: string | null;
  /** Bytes of KV cache it sent or received; 0 for none. */
  kvBytes: number;
  /** Milliseconds that took; null where it does not say. */
  transferMs: number | null;
}

/** Reads the list; undefined when it is none. */
export function parsePerfMetrics(text: string): RequestTiming[] | undefined {
  let list: unknown;
  try {
    // Ids are 64-bit: their digits are kept, not their value.
    list = JSON.parse(text, (key, value: unknown, context?: { source?: string }) =>
      key === 'ctx_request_id' && typeof value === 'number' ? (context?.source ?? String(value)) : value,
    );
  } catch {
    return undefined;
  }
  return Array.isArray(list) ? list.map(timingOf) : undefined;
}

function timingOf(entry: unknown): RequestTiming {
  const id = memberOf(entry, 'ctx_request_id');
  const timing = memberOf(memberOf(entry, 'perf_metrics'), 'timing_metrics');
  const bytes = memberOf(timing, 'kv_cache_size');
  const [start, end] = [memberOf(timing, 'kv_cache_transfer_start'), memberOf(timing, 'kv_cache_transfer_end')];
  return {
    contextId: typeof id === 'string' ? id : null,
    kvBytes: typeof bytes === 'number' && bytes > 0 ? bytes : 0,
    transferMs: typeof start === 'number' && typeof end === 'number' && end > start ? (end - start) * 1_000 : null,
  };
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
