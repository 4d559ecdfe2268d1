import { describe, expect, it } from 'vitest';
import { dechunk } from '../../../../src/frontend/relay/http-chunks.ts';
import { SseBody } from '../../../../src/frontend/relay/sse-body.ts';
import { type RelayOptions, StreamRelay } from '../../../../src/frontend/relay/stream-relay.ts';
import type { BodyFraming } from '../../../../src/frontend/upstream/response-head.ts';
import { UpstreamFailure } from '../../../../src/frontend/upstream/upstream-failure.ts';

const json = (delta: object, finish: string | null = null) =>
  JSON.stringify({ id: 'c', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
const event = (data: string) => `data: ${data}\n\n`;
const ROLE = event(json({ role: 'assistant', content: '' }));
const TOKENS = Array.from({ length: 4 }, (_, index) =>
  event(json({ content: ` "error" ${index} "finish_reason":"abort"` })),
);
const STOP = event(json({ content: '' }, 'stop'));
const USAGE = event(
  '{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0}}}',
);
const DONE = event('[DONE]');

interface Result {
  out: string;
  opened: boolean;
  failure: UpstreamFailure | undefined;
  relay: StreamRelay;
  writes: number;
}

/** Runs a wire text through, in reads that end at the cuts; the read buffer is overwritten after each. */
function relayWire(wire: Buffer, cuts: number[], framing: BodyFraming, options: Partial<RelayOptions> = {}): Result {
  const pieces: Buffer[] = [];
  let opened = false;
  const relay = new StreamRelay(
    {
      open: () => {
        opened = true;
      },
      write: (framed) => pieces.push(Buffer.from(dechunk(framed))),
    },
    { forwardUsage: false, cachedTokens: null, ...options },
  );
  const body = new SseBody(framing, relay);
  let failure: UpstreamFailure | undefined;
  try {
    const edges = [0, ...cuts, wire.length];
    let ended = false;
    for (let index = 1; index < edges.length; index += 1) {
      const scratch = Buffer.from(wire.subarray(edges[index - 1]!, edges[index]!));
      if (scratch.length === 0) continue;
      ended = body.read(scratch, 0, scratch.length) >= 0;
      scratch.fill(0x21);
    }
    if (framing.kind === 'close') ended = body.closed();
    if (!ended) throw new UpstreamFailure('reset', 'cut');
    relay.finish();
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    failure = error;
  }
  return { out: Buffer.concat(pieces).toString(), opened, failure, relay, writes: pieces.length };
}

const frame = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const LAST = '0\r\n\r\n';
const inChunks = (events: string[]) => Buffer.from(`${events.map(frame).join('')}${LAST}`);
const CHUNKED: BodyFraming = { kind: 'chunked' };
const ALL = [ROLE, ...TOKENS, STOP, USAGE, DONE];
const WITHOUT_USAGE = [ROLE, ...TOKENS, STOP, DONE].join('');

describe('StreamRelay behind SseBody', () => {
  it('forwards the same stream whatever the reads are, and reads and drops the usage event', () => {
    const wire = inChunks(ALL);
    for (let cut = 0; cut <= wire.length; cut += 1) {
      const { out, failure, relay } = relayWire(wire, [cut], CHUNKED);
      if (out !== WITHOUT_USAGE || failure)
        expect({ cut, out, failure }).toEqual({ cut, out: WITHOUT_USAGE, failure: undefined });
      expect(relay.usage?.completionTokens).toBe(4);
    }
  });

  it.each([
    [
      'events spread over several chunks',
      (text: string) =>
        Buffer.from(
          `${text
            .match(/[\s\S]{1,37}/g)!
            .map(frame)
            .join('')}${LAST}`,
        ),
      CHUNKED,
    ],
    [
      'several events in a chunk',
      (text: string) => Buffer.from(`${frame(text.slice(0, 300))}${frame(text.slice(300))}${LAST}`),
      CHUNKED,
    ],
    ['a content length', (text: string) => Buffer.from(text), undefined],
    ['the end of the connection', (text: string) => Buffer.from(text), { kind: 'close' } as const],
  ])('handles %s', (_, encode, framing) => {
    const wire = encode(ALL.join(''));
    const used = framing ?? { kind: 'length' as const, length: wire.length };
    for (let cut = 1; cut < wire.length; cut += 7) {
      const { out, failure } = relayWire(wire, [cut, Math.min(wire.length, cut + 100)], used);
      if (out !== WITHOUT_USAGE || failure) expect({ cut, out, failure }).toEqual({ out: WITHOUT_USAGE });
    }
  });

  it('keeps the usage event for a client that asked, patched with the cached tokens of the prefill leg', () => {
    const { out, relay } = relayWire(inChunks(ALL), [300], CHUNKED, { forwardUsage: true, cachedTokens: 8 });
    expect(out).toBe(ALL.join('').replace('"cached_tokens":0', '"cached_tokens":8'));
    expect(relay.usage?.cachedTokens).toBe(8);
  });

  it('writes once per read', () => {
    const wire = inChunks(ALL);
    expect(relayWire(wire, [], CHUNKED).writes).toBe(1);
    const edge = Buffer.byteLength([ROLE, ...TOKENS.slice(0, 2)].map(frame).join(''));
    expect(relayWire(wire, [edge], CHUNKED).writes).toBeLessThanOrEqual(3);
  });

  const failures: [string, string][] = [
    ['an error event', event('{"error":{"message":"prompt text","type":"InternalServerError","code":500}}')],
    ['an error event written with spaces', event('{"error": {"message": "x", "code": 500}}')],
    ['finish reason abort', event(json({ content: '' }, 'abort'))],
    ['finish reason error with spaces', event('{"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}')],
  ];

  /** Content written the way the failing event is. */
  const contentLike = (bad: string) =>
    bad.includes('": ')
      ? TOKENS.map((text) => text.replaceAll('"finish_reason":null', '"finish_reason": null'))
      : TOKENS;

  it.each(failures)('%s before any content opens nothing', (_, bad) => {
    for (const events of [
      [bad, DONE],
      [ROLE, bad, DONE],
      [ROLE, contentLike(bad)[0]!, bad, DONE],
    ]) {
      const { out, opened, failure } = relayWire(inChunks(events), [], CHUNKED);
      expect({ out, opened, reason: failure?.reason }).toEqual({ out: '', opened: false, reason: 'failed' });
      expect(failure?.message).not.toContain('prompt text');
    }
  });

  it.each(failures)('%s after content ends the stream with whole events only', (_, bad) => {
    const tokens = contentLike(bad);
    const wire = inChunks([ROLE, ...tokens, bad, DONE]);
    const firstRead = Buffer.byteLength([ROLE, tokens[0]!].map(frame).join(''));
    for (let cut = firstRead; cut <= wire.length; cut += 1) {
      const { out, opened, failure } = relayWire(wire, [firstRead, cut], CHUNKED);
      const isRight = [ROLE, ...tokens].join('').startsWith(out) && out.endsWith('\n\n');
      if (!opened || failure?.reason !== 'failed' || !isRight) expect.fail(`cut ${cut}: ${failure?.reason} ${out}`);
    }
  });

  it('never hands on half an event when the worker dies', () => {
    const wire = inChunks(ALL);
    for (let cut = 0; cut < wire.length - LAST.length; cut += 1) {
      const { out, failure } = relayWire(wire.subarray(0, cut), [], CHUNKED);
      const isWhole = out === '' || out.endsWith('\n\n');
      if (failure?.reason !== 'reset' || !isWhole) expect.fail(`cut ${cut}: ${failure?.reason} ${out}`);
    }
  });

  it('does not take an empty stream or one without an end for an answer', () => {
    expect(relayWire(Buffer.from(LAST), [], CHUNKED)).toMatchObject({ opened: false, failure: { reason: 'failed' } });
    expect(relayWire(inChunks([ROLE]), [], CHUNKED)).toMatchObject({ opened: false, failure: { reason: 'failed' } });
    expect(relayWire(inChunks([ROLE, TOKENS[0]!]), [], CHUNKED)).toMatchObject({
      opened: true,
      failure: { reason: 'failed' },
    });
  });

  it('takes events that are not JSON for a fault of the worker', () => {
    expect(relayWire(inChunks([event('oops')]), [], CHUNKED).failure?.reason).toBe('protocol');
  });
});
