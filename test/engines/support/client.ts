import { parsePrometheusText, sumOf } from '../../../src/telemetry/prometheus-text.ts';

/** A completion as a client gets it, streamed or not. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  finish: string | null;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number | undefined;
  /** Message of the error body or of an error event. */
  error: string | undefined;
  /** A stream's end marker was there; true for what was not streamed. */
  isComplete: boolean;
}

interface Chunk {
  choices?: {
    text?: string;
    delta?: { content?: string };
    message?: { content: string };
    finish_reason: string | null;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
  error?: { message: string };
}

export type Body = Record<string, unknown> & ({ prompt: unknown } | { messages: unknown });

/** Sends a request, greedy unless it says otherwise, and reads all of the answer. */
export async function complete(url: string, body: Body, signal?: AbortSignal): Promise<Answer> {
  const response = await open(url, body, signal);
  return read(response, await response.text());
}

/** Sends a request; the answer is still to be read. */
export function open(url: string, body: Body, signal?: AbortSignal): Promise<Response> {
  const path = 'messages' in body ? '/v1/chat/completions' : '/v1/completions';
  return fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', temperature: 0, ...body }),
    ...(signal ? { signal } : {}),
  });
}

/** Puts an answer's bytes together. */
export function read(response: Response, raw: string): Answer {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  const events = isStream ? raw.split('\n\n').filter((event) => event.startsWith('data: ')) : [`data: ${raw}`];
  const answer: Answer = {
    status: response.status,
    headers: response.headers,
    text: '',
    finish: null,
    promptTokens: 0,
    completionTokens: 0,
    cachedTokens: undefined,
    error: undefined,
    isComplete: !isStream,
  };
  for (const event of events) {
    const data = event.slice('data: '.length);
    if (data === '[DONE]') answer.isComplete = true;
    else take(answer, JSON.parse(data) as Chunk);
  }
  return answer;
}

function take(answer: Answer, chunk: Chunk): void {
  const choice = chunk.choices?.[0];
  answer.text += choice?.text ?? choice?.delta?.content ?? choice?.message?.content ?? '';
  answer.finish = choice?.finish_reason ?? answer.finish;
  answer.error = chunk.error?.message ?? answer.error;
  if (!chunk.usage) return;
  answer.promptTokens = chunk.usage.prompt_tokens;
  answer.completionTokens = chunk.usage.completion_tokens;
  answer.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens;
}

/** A metric, summed over the labels that are not asked for. */
export async function metric(url: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  const samples = parsePrometheusText(await (await fetch(`${url}/metrics`)).text());
  const wanted = samples.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return sumOf(wanted, name) ?? 0;
}

/** Token ids of ordinary words, the same for the same seed. */
export function tokenIds(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 300 + ((state >>> 8) % 1_600);
  });
}

const WORDS = ['def', 'return', 'größe', 'value', '日本', 'class', '"quoted"', 'raise', '\u2028', 'while\ttrue'];

export function words(count: number, seed: number): string {
  return tokenIds(count, seed)
    .map((id) => WORDS[id % WORDS.length])
    .join(' ');
}
