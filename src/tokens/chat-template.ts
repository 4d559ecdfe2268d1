/** One message of a chat request, as far as the template reads it. Everything else on it is ignored. */
export interface ChatMessage {
  role: string;
  /** Text, or parts of which `{type: 'text', text}` count; other parts leave a placeholder with their type. */
  content?: unknown;
  /** Earlier calls of an assistant message; rendered as one JSON line each. */
  tool_calls?: unknown;
}

/**
 * The chat template of the simulated engine, in ChatML form. The frontend renders with it too, so that both sides of the
 * wire come to the same tokens. Tool definitions are not rendered.
 * Ends with the opening of the assistant's turn unless `addGenerationPrompt` is false.
 */
export function renderChat(messages: readonly ChatMessage[], addGenerationPrompt = true): string {
  let text = '';
  for (const message of messages) {
    text += `<|im_start|>${message.role}\n${renderContent(message.content)}${renderToolCalls(message.tool_calls)}<|im_end|>\n`;
  }
  return addGenerationPrompt ? `${text}<|im_start|>assistant\n` : text;
}

function renderContent(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map(renderPart).join('\n');
}

function renderPart(part: unknown): string {
  if (typeof part === 'string') return part;
  if (typeof part !== 'object' || part === null) return '';
  if ('text' in part && typeof part.text === 'string') return part.text;
  return 'type' in part && typeof part.type === 'string' ? `<|${part.type}|>` : '';
}

function renderToolCalls(calls: unknown): string {
  if (!Array.isArray(calls)) return '';
  return calls.map((call) => `\n<tool_call>${JSON.stringify(call)}</tool_call>`).join('');
}
