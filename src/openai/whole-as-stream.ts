import type { CompletionRequest } from './completion-request.ts';
import { dataEvent } from './sse-events.ts';

interface WholeAnswer {
  object?: unknown;
  choices?: { message?: object }[];
  usage?: unknown;
}

/**
 * A whole answer as the events of a stream: one chunk with everything, usage where the client asked for it, `[DONE]`.
 * Throws `SyntaxError` when `answer` is not JSON.
 */
export function streamOfWhole(answer: Buffer, request: Pick<CompletionRequest, 'kind' | 'includeUsage'>): Buffer {
  const { usage, choices = [], ...rest } = JSON.parse(answer.toString('utf8')) as WholeAnswer;
  const head = request.kind === 'chat' ? { ...rest, object: 'chat.completion.chunk' } : rest;
  const deltas = choices.map(({ message, ...choice }) =>
    message === undefined ? choice : { ...choice, delta: message },
  );
  const events = [dataEvent(JSON.stringify({ ...head, choices: deltas }))];
  if (request.includeUsage) events.push(dataEvent(JSON.stringify({ ...head, choices: [], usage })));
  return Buffer.concat([...events, dataEvent('[DONE]')]);
}
