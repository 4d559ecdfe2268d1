import type { Role } from '../base/role.ts';

/** How a worker is asked which tokens it makes of a chat: exactly, with its own template and tools. */
export interface ChatTokens {
  /**
   * Members for a chat completion of one token, so that a single worker answers it and, where it can, names the ids of the
   * prompt. `random` gives 0 to 1.
   */
  completionFields(role: Role, random: () => number): Record<string, unknown>;
  /** An endpoint that takes the same request and generates nothing; null: there is none. */
  render: RenderEndpoint | null;
}

/** It may be there and switched off: the server then answers 403 or, before it had the endpoint, 404. */
export interface RenderEndpoint {
  path: string;
  /** The flag of the server that switches it on, and what else it opens. In words. */
  opening: string;
}

/** For engines that name no ids: the usage still tells how many tokens the prompt has. */
export const UNNAMED_TOKENS: ChatTokens = { completionFields: () => ({}), render: null };

/**
 * vLLM names the ids when it is asked to (`return_token_ids`). Its render endpoints came without a flag up to 0.29 and need
 * `--enable-scale-out` since 0.30 (vllm-project/vllm#55176), which opens more than them: nothing of dynamo depends on it.
 */
export const VLLM_CHAT_TOKENS: ChatTokens = {
  completionFields: () => ({ return_token_ids: true }),
  render: {
    path: '/v1/chat/completions/render',
    opening:
      '`enable-scale-out: true` under its `args` switches it on (vLLM 0.30 and later), and lets whoever reaches its port also generate from token ids and abort requests',
  },
};

/** Ids of the prompt in the answer to a completion; null where it names none. */
export function idsOfCompletion(answer: unknown): readonly number[] | null {
  const { prompt_token_ids: ids, choices } = (answer ?? {}) as {
    prompt_token_ids?: unknown;
    choices?: { prompt_token_ids?: unknown }[];
  };
  return idsOf(ids) ?? idsOf(Array.isArray(choices) ? choices[0]?.prompt_token_ids : undefined);
}

/** Ids in the answer of a render endpoint; null where it is something else. */
export function idsOfRendering(answer: unknown): readonly number[] | null {
  return idsOf((answer as { token_ids?: unknown } | null)?.token_ids);
}

const idsOf = (value: unknown): readonly number[] | null =>
  Array.isArray(value) && value.every((id) => Number.isInteger(id)) ? value : null;
