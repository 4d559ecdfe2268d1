/** One turn of a conversation, as the OpenAI API has it. */
export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface ChatOptions {
  model: string;
  system?: string | undefined;
  /** Longest answer in tokens; the engine's own limit where it is not said. */
  maxTokens?: number | undefined;
  temperature?: number | undefined;
}

/** Body of a streamed `POST /v1/chat/completions` that also asks for token counts. Pure. */
export function chatBody(options: ChatOptions, turns: readonly ChatMessage[]): string {
  const messages: ChatMessage[] = options.system ? [{ role: 'system', content: options.system }, ...turns] : [...turns];
  return JSON.stringify({
    model: options.model,
    messages,
    ...(options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens }),
    ...(options.temperature === undefined ? {} : { temperature: options.temperature }),
    stream: true,
    stream_options: { include_usage: true },
  });
}
