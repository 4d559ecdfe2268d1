import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChatStream } from '../../../src/chat/chat-stream.ts';

const event = (value: object | string) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const delta = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});

const WHOLE =
  event(delta({ role: 'assistant', content: '' })) +
  event(delta({ reasoning: 'Hm. ' })) +
  event(delta({ content: 'Grüße, ' })) +
  ': keep-alive\n\n' +
  event(delta({ content: '世界' })) +
  event(delta({}, 'stop')) +
  event({
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } },
  }) +
  event('[DONE]');

function read(text: string, cuts: readonly number[] = []) {
  const bytes = Buffer.from(text);
  const stream = new ChatStream();
  const at = [0, ...[...cuts].map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
  const pieces = at.slice(1).flatMap((end, index) => stream.push(bytes.subarray(at[index], end)));
  pieces.push(...stream.end());
  const join = (kind: string) =>
    pieces
      .filter((piece) => piece.kind === kind)
      .map((piece) => piece.text)
      .join('');
  return { stream, text: join('text'), reasoning: join('reasoning') };
}

describe('ChatStream', () => {
  it('reads text, thoughts, the end and the token counts', () => {
    const { stream, text, reasoning } = read(WHOLE);
    expect(text).toBe('Grüße, 世界');
    expect(reasoning).toBe('Hm. ');
    expect(stream.finishReason).toBe('stop');
    expect(stream.usage).toEqual({ promptTokens: 7, completionTokens: 3, cachedTokens: 4 });
    expect(stream.done).toBe(true);
    expect(stream.error).toBeUndefined();
  });

  it('reads the same however the bytes are cut, inside characters too', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => {
        expect(read(WHOLE, cuts).text).toBe('Grüße, 世界');
      }),
    );
  });

  it('reads thoughts under the older name, and a last event without its blank line', () => {
    expect(read(event(delta({ reasoning_content: 'so' }))).reasoning).toBe('so');
    expect(read(`data: ${JSON.stringify(delta({ content: 'end' }))}`).text).toBe('end');
  });

  it.each([
    [{ error: { message: 'the worker died', code: 502 } }, 'the worker died'],
    [{ error: 'flat' }, 'flat'],
    [{ error: {} }, 'no reason'],
  ])('says what the server reports in the stream: %j', (chunk, message) => {
    const { stream, text } = read(event(delta({ content: 'half' })) + event(chunk));
    expect(text).toBe('half');
    expect(stream.error).toBe(message);
  });

  it('survives events that are not what they should be', () => {
    const { stream, text } = read(
      event('{nonsense') + event('null') + event({ choices: [] }) + event({ choices: [{}] }),
    );
    expect(text).toBe('');
    expect(stream.error).toBe('the server sent an event that is not JSON');
  });
});
