import { describe, expect, it } from 'vitest';
import { splitEvents } from '../../../src/openai/sse-events.ts';
import { streamOfWhole } from '../../../src/openai/whole-as-stream.ts';

const events = (answer: object, request: Parameters<typeof streamOfWhole>[1]) =>
  splitEvents(streamOfWhole(Buffer.from(JSON.stringify(answer)), request)).map(({ data }) => data!.toString());

describe('streamOfWhole', () => {
  it('makes a chat answer one chunk, usage only when asked', () => {
    const answer = {
      id: 'x',
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1 },
    };
    const chunk = {
      id: 'x',
      object: 'chat.completion.chunk',
      choices: [{ index: 0, finish_reason: 'stop', delta: { role: 'assistant', content: 'Hi' } }],
    };
    const [first, ...rest] = events(answer, { kind: 'chat', includeUsage: false });
    expect(JSON.parse(first!)).toEqual(chunk);
    expect(rest).toEqual(['[DONE]']);
    const [, usage] = events(answer, { kind: 'chat', includeUsage: true });
    expect(JSON.parse(usage!)).toEqual({ ...chunk, choices: [], usage: { prompt_tokens: 1 } });
  });

  it('leaves the choices of a completion as they are', () => {
    const answer = { object: 'text_completion', choices: [{ index: 0, text: 'Hi', finish_reason: 'stop' }] };
    expect(JSON.parse(events(answer, { kind: 'text', includeUsage: false })[0]!)).toEqual(answer);
  });
});
