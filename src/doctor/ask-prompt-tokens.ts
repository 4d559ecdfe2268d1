import { messageOf } from '../base/errors.ts';
import { type ChatTokens, idsOfCompletion, idsOfRendering } from '../engines/chat-tokens.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import { readUsage } from '../openai/usage.ts';
import { refusalOf } from '../openai/worker-error.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { fetchText } from '../supervise/probes.ts';
import type { TokenPrompt } from './token-prompts.ts';

const TIMEOUT_MS = 60_000;
/** A render endpoint that is switched off, or that the server does not have. */
const NOT_OFFERED = [403, 404, 405];

export interface PromptTokens {
  /** As many as the worker says the prompt has. */
  promptTokens: number | null;
  /** Null where the engine does not tell. */
  ids: readonly number[] | null;
  /** HTTP status of an answer that is not 200; null where there is none. */
  status: number | null;
  /** Why there is no answer. */
  error: string | null;
}

type Worker = Pick<ProcessSpec, 'url' | 'engine' | 'role' | 'model'>;

/** Asks one worker for one token after the prompt, and for the prompt's tokens. Rejects for the signal only. */
export async function askPromptTokens(worker: Worker, prompt: TokenPrompt, signal: AbortSignal): Promise<PromptTokens> {
  const fields = questions(worker).completionFields(worker.role, Math.random);
  const request = { ...bodyOf(worker, prompt), ...fields };
  const answer = await post(`${worker.url}/v1/chat/completions`, request, signal);
  if ('error' in answer) return answer;
  return {
    promptTokens: readUsage(answer.body)?.promptTokens ?? null,
    ids: idsOfCompletion(answer.parsed),
    status: null,
    error: null,
  };
}

/** Has a worker render the prompt without generating anything. Null: it does not offer that. Rejects for the signal only. */
export async function askRendering(
  worker: Worker,
  prompt: TokenPrompt,
  signal: AbortSignal,
): Promise<PromptTokens | null> {
  const { render } = questions(worker);
  if (render === null) return null;
  const answer = await post(`${worker.url}${render.path}`, bodyOf(worker, prompt), signal);
  if ('error' in answer) return answer.status !== null && NOT_OFFERED.includes(answer.status) ? null : answer;
  const ids = idsOfRendering(answer.parsed);
  return ids === null ? failed(null, 'it names no token ids') : { promptTokens: ids.length, ids, ...NO_ERROR };
}

/** How a worker's engine is asked for tokens. */
export function questions({ engine }: Pick<Worker, 'engine'>): ChatTokens {
  return findEngine(isEngineName(engine) ? engine : 'openai').chatTokens;
}

const NO_ERROR = { status: null, error: null };

const bodyOf = ({ model }: Worker, { messages, more }: TokenPrompt): Record<string, unknown> => ({
  ...{ model, messages, max_tokens: 1, temperature: 0 },
  ...more,
});

type Reply = { body: Buffer; parsed: unknown } | (PromptTokens & { error: string });

async function post(url: string, request: object, signal: AbortSignal): Promise<Reply> {
  try {
    const { status, body } = await fetchText(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    return status === 200
      ? { body, parsed: JSON.parse(body.toString('utf8')) as unknown }
      : failed(status, refusalOf(body));
  } catch (error) {
    signal.throwIfAborted();
    return failed(null, messageOf(error));
  }
}

const failed = (status: number | null, error: string): PromptTokens & { error: string } => ({
  promptTokens: null,
  ids: null,
  status,
  error: status === null ? error : `${status} ${error}`,
});
