/**
 * Finish reasons that mean the engine gave up although it answered 200: a failed KV transfer, or a request aborted while
 * the engine shuts down. They count as failures.
 */
const FAILED_FINISH = new Set(['error', 'abort']);

/** What one response body or stream chunk says about its end. */
export interface ChunkVerdict {
  /** The chunk is an error object, or one of its choices ended in `error` or `abort`: what it says, without user data. */
  failure: string | undefined;
  /** A choice ended. */
  finished: boolean;
  /** It carries something a client would show: text, a tool call, reasoning, token ids, or an end. */
  hasContent: boolean;
  /** It has a usage object and no choices. */
  usageOnly: boolean;
}

/** Judges a parsed response body or stream chunk. */
export function judgeChunk(chunk: unknown): ChunkVerdict {
  const verdict: ChunkVerdict = { failure: undefined, finished: false, hasContent: false, usageOnly: false };
  if (typeof chunk !== 'object' || chunk === null) return { ...verdict, failure: 'not a JSON object' };
  const { error, choices, usage } = chunk as { error?: unknown; choices?: unknown; usage?: unknown };
  if (error !== undefined && error !== null) return { ...verdict, failure: `error ${errorName(error)}` };
  const list: unknown[] = Array.isArray(choices) ? choices : [];
  verdict.usageOnly = list.length === 0 && typeof usage === 'object' && usage !== null;
  for (const choice of list) {
    if (typeof choice !== 'object' || choice === null) continue;
    const { finish_reason: reason, text, delta, message } = choice as Record<string, unknown>;
    if (typeof reason === 'string') {
      verdict.finished = true;
      if (FAILED_FINISH.has(reason)) verdict.failure = `finish reason ${reason}`;
    }
    if (reason || text || hasText(delta) || hasText(message)) verdict.hasContent = true;
  }
  return verdict;
}

/** Any member of a delta besides its role that is not empty. */
function hasText(delta: unknown): boolean {
  if (typeof delta !== 'object' || delta === null) return false;
  return Object.entries(delta).some(([key, value]) => key !== 'role' && !isEmpty(value));
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/** The kind of an engine's error. Its message stays out: it may quote the prompt. */
function errorName(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'object';
  const { type, code } = error as { type?: unknown; code?: unknown };
  const words = [type, code].filter((word) => typeof word === 'string' || typeof word === 'number');
  return words.length > 0 ? words.join(' ').slice(0, 80) : 'object';
}
