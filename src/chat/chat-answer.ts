import { formatDuration } from '../base/duration.ts';
import type { Usage } from '../openai/usage.ts';

/** Workers that the frontend's response headers name; null where the server names none. */
export interface ServedBy {
  prefill: string | null;
  decode: string | null;
  /** Why the decode worker did the prefill too. */
  localPrefill: string | null;
}

/** One answer and what was measured of it. Times in milliseconds since the request was sent. */
export interface ChatAnswer {
  text: string;
  reasoning: string;
  finishReason: string | null;
  usage: Usage | null;
  /** To the first piece, thoughts included; null when nothing came. */
  ttftMs: number | null;
  totalMs: number;
  /** Tokens after the first one per second of decoding; null for fewer than two tokens or without token counts. */
  tokensPerSecond: number | null;
  servedBy: ServedBy;
  /** The user ended it before its end. */
  aborted: boolean;
}

/** Reads the workers from the response headers. Pure. */
export function servedByOf(header: (name: string) => string | null): ServedBy {
  return {
    prefill: header('x-dynamo-prefill-worker'),
    decode: header('x-dynamo-decode-worker') ?? header('x-dynamo-worker'),
    localPrefill: header('x-dynamo-local-prefill'),
  };
}

/** Rate of decoding: all tokens but the first, over the time from the first piece to the last. Pure. */
export function decodeRate(usage: Usage | undefined, firstMs: number | null, lastMs: number): number | null {
  if (usage === undefined || usage.completionTokens < 2 || firstMs === null || lastMs <= firstMs) return null;
  return ((usage.completionTokens - 1) / (lastMs - firstMs)) * 1_000;
}

/** `TTFT 23 ms · 412 tok/s · 12 prompt tokens, 0 cached · 32 generated · prefill-0 → decode-1`. Pure. */
export function describeAnswer(answer: ChatAnswer): string {
  const { usage, servedBy } = answer;
  const workers = [servedBy.prefill, servedBy.decode].filter((name) => name !== null).join(' → ');
  const parts = [
    answer.aborted ? 'cut off' : undefined,
    answer.ttftMs === null ? undefined : `TTFT ${formatDuration(answer.ttftMs)}`,
    answer.tokensPerSecond === null ? undefined : `${formatRate(answer.tokensPerSecond)} tok/s`,
    usage === null ? undefined : `${tokens(usage.promptTokens, 'prompt token')}${cachedText(usage)}`,
    usage === null ? undefined : `${usage.completionTokens} generated`,
    answer.finishReason === 'length' ? 'length limit reached' : undefined,
    workers === '' ? undefined : workers,
    servedBy.localPrefill === null ? undefined : `prefill done by the decode worker (${servedBy.localPrefill})`,
  ];
  return parts.filter((part) => part !== undefined).join(' · ');
}

const cachedText = ({ cachedTokens }: Usage): string => (cachedTokens === null ? '' : `, ${cachedTokens} cached`);
const tokens = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
const formatRate = (rate: number): string => (rate >= 100 ? String(Math.round(rate)) : rate.toFixed(1));
