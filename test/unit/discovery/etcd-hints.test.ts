import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EtcdEndpoint, EtcdEndpoints } from '../../../src/discovery/etcd-endpoints.ts';
import { EtcdHints } from '../../../src/discovery/etcd-hints.ts';

/** The client's side of one watch stream, as the library hands it out. */
class FakeStream extends EventEmitter {
  readonly sent: object[] = [];
  isCancelled = false;
  write(request: object): void {
    this.sent.push(request);
  }
  cancel(): void {
    this.isCancelled = true;
  }
}

class FakeMember {
  readonly streams: FakeStream[] = [];
  refusal: Error | undefined;
  readonly watches = {
    watchClient: {
      watch: async () => {
        if (this.refusal) throw this.refusal;
        const stream = new FakeStream();
        this.streams.push(stream);
        return stream;
      },
    },
  };
  get last(): FakeStream {
    return this.streams.at(-1)!;
  }
}

describe('EtcdHints', () => {
  const members = { preferred: new FakeMember() };
  let hinted: (string | null)[];
  let hints: EtcdHints;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    members.preferred = new FakeMember();
    hinted = [];
    const range = { start: Buffer.from('a/'), end: Buffer.from('a0') };
    const endpoints = members as unknown as EtcdEndpoints & { preferred: EtcdEndpoint };
    hints = new EtcdHints(endpoints, range, (key) => hinted.push(key && String(key)));
  });
  afterEach(() => {
    hints[Symbol.dispose]();
    vi.useRealTimers();
  });

  const opened = async (): Promise<FakeStream> => {
    const before = members.preferred.streams.length;
    const renewed = hints.renew();
    await vi.waitUntil(() => members.preferred.streams.length > before);
    members.preferred.last.emit('data', { created: true, canceled: false, events: [] });
    await renewed;
    return members.preferred.last;
  };

  it('asks for the range from now on, and passes on what changes', async () => {
    const stream = await opened();
    expect(stream.sent).toEqual([{ create_request: { key: Buffer.from('a/'), range_end: Buffer.from('a0') } }]);
    stream.emit('data', { created: false, canceled: false, events: [{ kv: { key: Buffer.from('a/x') } }] });
    expect(hinted).toEqual(['a/x']);
    await hints.renew();
    expect(members.preferred.streams.length).toBe(1);
  });

  it.each([
    ['a compaction', 'data', { created: false, canceled: true, compact_revision: '7', events: [] }],
    ['an error', 'error', new Error('14 UNAVAILABLE')],
    ['its end', 'end', undefined],
  ])('wants a full list after %s, and watches again', async (_what, event, argument) => {
    const stream = await opened();
    vi.advanceTimersByTime(5_000);
    stream.emit(event, argument);
    expect(hinted).toEqual([null]);
    expect(stream.isCancelled).toBe(true);
    const next = await opened();
    expect(next).not.toBe(stream);
    // What the old one still says, an error too, is of no interest.
    stream.emit('error', new Error('1 CANCELLED'));
    stream.emit('data', { created: false, canceled: true, events: [] });
    expect(hinted).toEqual([null]);
  });

  it('leaves it to the next regular list when each watch is ended at once', async () => {
    const stream = await opened();
    stream.emit('data', { created: false, canceled: true, events: [] });
    expect(hinted).toEqual([]);
  });

  it('does not wait for a server that never confirms, and wants a list when it does after all', async () => {
    const renewed = hints.renew();
    await vi.waitUntil(() => members.preferred.streams.length === 1);
    vi.advanceTimersByTime(1_000);
    await renewed;
    expect(hinted).toEqual([]);
    members.preferred.last.emit('data', { created: true, canceled: false, events: [] });
    expect(hinted).toEqual([null]);
  });

  it('survives a member that refuses, and follows the preferred one', async () => {
    members.preferred.refusal = new Error('14 UNAVAILABLE');
    await hints.renew();
    members.preferred.refusal = undefined;
    const first = await opened();
    members.preferred = new FakeMember();
    await opened();
    expect(first.isCancelled).toBe(true);
  });

  it('ends its stream when disposed, also one that opens later', async () => {
    const stream = await opened();
    hints[Symbol.dispose]();
    expect(stream.isCancelled).toBe(true);
    stream.emit('error', new Error('1 CANCELLED'));
    await hints.renew();
    expect(members.preferred.streams.length).toBe(1);
  });
});
