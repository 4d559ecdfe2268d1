import type { ChatMessage } from '../tokens/chat-template.ts';
import { badRequest, invalidField, missingField } from './api-error.ts';
import type { Body } from './json-fields.ts';

/** Roles whose messages need a content; those of an assistant may consist of calls. */
const NEED_CONTENT = ['system', 'developer', 'user'];

/** The messages of a chat. Throws vLLM's 400 for what is none; of the errors for each kind of message it names the first kind's. */
export function messagesOf(body: Body): ChatMessage[] {
  const messages: unknown = body['messages'];
  if (messages === undefined) throw missingField(body, 'messages');
  if (!Array.isArray(messages)) throw invalidField('Input should be a valid list', 'list_type', messages, 'messages');
  if (messages.length === 0)
    throw badRequest('Cannot apply chat template to an empty conversation. Provide at least one message.');
  for (const [index, message] of messages.entries()) checkMessage(message, index);
  return messages as ChatMessage[];
}

function checkMessage(message: unknown, index: number): void {
  const place = `messages.${index}.ChatCompletionDeveloperMessageParam`;
  if (typeof message !== 'object' || message === null || Array.isArray(message))
    throw invalidField('Input should be a valid dictionary', 'dict_type', message, place);
  const { role, content } = message as Record<string, unknown>;
  if (typeof role !== 'string') throw missingField(message, `${place}.${content === undefined ? 'content' : 'role'}`);
  const isText = typeof content === 'string' || content === undefined;
  const isNothing = content === null && !NEED_CONTENT.includes(role);
  if (isText || isNothing) return;
  if (!Array.isArray(content))
    throw invalidField('Input should be a valid string', 'string_type', content, `${place}.content`);
  for (const [at, part] of content.entries()) checkPart(part, at);
}

/** Parts are checked only when they are read, and then in other words. */
function checkPart(part: unknown, at: number): void {
  const { type, text } = (part ?? {}) as Record<string, unknown>;
  if (type !== 'text' || typeof text === 'string') return;
  const place = `${at}.ChatCompletionContentPartTextParam.text`;
  throw badRequest(`1 validation error for ValidatorIterator\n${place}\n  Field required [type=missing]`);
}
