import { describe, expect, it } from 'vitest';
import type { KvEvent } from '../../../src/engines/kv-events.ts';
import { readPublished, readReplayed, replayRequest } from '../../../src/routing/kv-event-sequence.ts';
import type { KvEventSockets, NumberedPayload } from '../../../src/routing/kv-event-sockets.ts';
import { followKvEvents } from '../../../src/routing/kv-event-stream.ts';
import { recordedFrames } from '../../helpers/recorded-kv-events.ts';

/** A message whose payload is its time and the handle of one block. */
const message = (sequence: number, at: number, hash: number | string = sequence): NumberedPayload => ({
  sequence,
  payload: Buffer.from(JSON.stringify({ at, hash })),
});
const decode = (payload: Uint8Array) => {
  const { at, hash } = JSON.parse(Buffer.from(payload).toString()) as { at: number; hash: number };
  return {
    at,
    rank: 0,
    events: [{ kind: 'removed' as const, hashes: [BigInt(hash)], tier: 'gpu' as const, group: null }],
  };
};

/** What a sink sees of published messages, with the answers to replay requests by their start. */
async function follow(
  published: NumberedPayload[],
  replays: Record<number, NumberedPayload[]> = {},
): Promise<string[]> {
  const seen: string[] = [];
  const sockets: KvEventSockets = {
    async *published() {
      yield* published;
    },
    replay: async (from) => {
      seen.push(`replay ${from}`);
      const messages = replays[from];
      if (!messages) throw new Error('no answer');
      return messages;
    },
    [Symbol.dispose]: () => {},
  };
  await followKvEvents(sockets, decode, {
    apply: (event: KvEvent) => seen.push(event.kind === 'removed' ? String(event.hashes[0]) : event.kind),
    forget: (reason) => seen.push(`forget: ${reason}`),
    unreadable: () => seen.push('unreadable'),
  });
  return seen;
}

describe('followKvEvents', () => {
  it('begins with what the worker still has, and does not count twice what was published meanwhile', async () => {
    const both = [message(0, 10), message(1, 11)];
    expect(await follow([message(1, 11), message(2, 12)], { 0: both })).toEqual(['replay 0', '0', '1', '2']);
  });

  it('does without replay when nothing was missed', async () => {
    expect(await follow([message(0, 10), message(1, 11)])).toEqual(['replay 0', '0', '1']);
  });

  it('fills a gap by replay, whether or not that brings the message behind it', async () => {
    const first = { 0: [message(0, 10)] };
    const live = [message(3, 13), message(4, 14)];
    const gap = [message(1, 11), message(2, 12)];
    expect(await follow(live, { ...first, 1: gap })).toEqual(['replay 0', '0', 'replay 1', '1', '2', '3', '4']);
    expect(await follow(live, { ...first, 1: [...gap, message(3, 13)] })).toEqual([
      ...['replay 0', '0', 'replay 1', '1', '2', '3', '4'],
    ]);
  });

  it('forgets when a gap cannot be filled, wholly or in part', async () => {
    const first = { 0: [message(0, 10)] };
    expect(await follow([message(3, 13)], first)).toEqual([
      'replay 0',
      '0',
      'replay 1',
      'forget: events 1 to 2 were lost',
      '3',
    ]);
    expect(await follow([message(3, 13)], { ...first, 1: [message(2, 12)] })).toEqual([
      ...['replay 0', '0', 'replay 1', 'forget: events 1 to 1 are not kept any more', '2', '3'],
    ]);
  });

  it('takes a number that goes back, at a later time, for a restart', async () => {
    const old = { 0: [message(0, 10), message(1, 11), message(2, 12)] };
    expect(await follow([message(0, 20, 100)], old)).toEqual([
      ...['replay 0', '0', '1', '2', 'forget: the worker began anew', '100'],
    ]);
  });

  it('replays the new life when its beginning was missed', async () => {
    let calls = 0;
    const replays = new Proxy({} as Record<number, NumberedPayload[]>, {
      get: () => {
        calls += 1;
        return calls === 1
          ? [message(0, 10), message(1, 11), message(2, 12)]
          : [message(0, 20, 100), message(1, 21, 101)];
      },
    });
    expect(await follow([message(1, 21, 101), message(2, 22, 102)], replays)).toEqual([
      ...['replay 0', '0', '1', '2', 'forget: the worker began anew', 'replay 0', '100', '101', '102'],
    ]);
  });

  it('says when a message cannot be read, and goes on', async () => {
    const garbage = { sequence: 1, payload: Buffer.from('garbage') };
    expect(await follow([message(0, 10), garbage, message(2, 12)])).toEqual([
      ...['replay 0', '0', 'unreadable', 'replay 1', 'forget: events 1 to 1 were lost', '2'],
    ]);
  });
});

describe('frames', () => {
  it('of a real vLLM, published and replayed', () => {
    expect(recordedFrames('sub').map((frames) => readPublished(frames)?.sequence)).toEqual(
      Array.from({ length: 18 }, (_, index) => index),
    );
    const replayed = recordedFrames('replay').map(readReplayed);
    expect(replayed.slice(0, -1).map((each) => (each === 'end' ? each : each?.sequence))).toEqual([
      0, 1, 2, 3, 4, 5, 6,
    ]);
    expect(replayed.at(-1)).toBe('end');
  });

  it('of SGLang and older vLLM, whose replay has no topic', () => {
    const frames = [Buffer.alloc(0), Buffer.from('0000000000000005', 'hex'), Buffer.from('x')];
    expect(readReplayed(frames)).toEqual({ sequence: 5, payload: Buffer.from('x') });
    expect(readReplayed([Buffer.alloc(0), Buffer.alloc(8, 0xff), Buffer.alloc(0)])).toBe('end');
    expect(readReplayed([Buffer.from('x')])).toBeUndefined();
    expect(readPublished([Buffer.from('t'), Buffer.from('short'), Buffer.from('x')])).toBeUndefined();
  });

  it('asks for everything from a number on', () => {
    expect(replayRequest(258)).toEqual([Buffer.alloc(0), Buffer.from('0000000000000102', 'hex')]);
  });
});
