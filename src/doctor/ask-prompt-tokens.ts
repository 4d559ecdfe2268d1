import { messageOf } from '../base/errors.ts';
import { readUsage } from '../openai/usage.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { fetchText } from '../supervise/probes.ts';
import type { TokenPrompt } from './token-prompts.ts';

const TIMEOUT_MS = 60_000;
/** SGLang's fake peer: a prefill or decode server takes the request and skips the transfer. */
const FAKE_PEER = { bootstrap_host: '2.2.2.2', bootstrap_port: 8_998 };

export interface PromptTokens {
  /** As many as the worker says the prompt has. */
  promptTokens: number | null;
  /** Null where the engine does not tell. */
  ids: readonly number[] | null;
  /** Why there is no answer. */
  error: string | null;
}

/** Asks one worker for one token after the prompt, and for the prompt's tokens. Never rejects but for the signal. */
export async function askPromptTokens(
  { url, engine, role, model }: ProcessSpec,
  { messages, more }: TokenPrompt,
  signal: AbortSignal,
): Promise<PromptTokens> {
  const body = {
    ...{ model, messages, max_tokens: 1, temperature: 0, ...more },
    ...(engine === 'vllm' || engine === 'mocker' ? { return_token_ids: true } : {}),
    ...(engine === 'sglang' && role !== 'aggregated'
      ? { ...FAKE_PEER, bootstrap_room: 1 + Math.floor(Math.random() * 2 ** 52) }
      : {}),
  };
  try {
    const answer = await fetchText(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    if (answer.status !== 200) return failed(`${answer.status} ${answer.body.toString('utf8', 0, 200)}`);
    const parsed = JSON.parse(answer.body.toString('utf8')) as {
      prompt_token_ids?: unknown;
      choices?: { prompt_token_ids?: unknown }[];
    };
    const ids = parsed.prompt_token_ids ?? parsed.choices?.[0]?.prompt_token_ids;
    return {
      promptTokens: readUsage(answer.body)?.promptTokens ?? null,
      ids: Array.isArray(ids) && ids.every((id) => typeof id === 'number') ? ids : null,
      error: null,
    };
  } catch (error) {
    signal.throwIfAborted();
    return failed(messageOf(error));
  }
}

const failed = (error: string): PromptTokens => ({ promptTokens: null, ids: null, error });
