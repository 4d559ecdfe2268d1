import { describe, expect, it } from 'vitest';
import { Publisher, Router } from 'zeromq';
import { kvEventDecoder } from '../../src/engines/kv-event-payload.ts';
import { readVllmEvents } from '../../src/engines/vllm/kv-events.ts';
import { openKvEventSockets } from '../../src/routing/kv-event-sockets.ts';
import { followKvEvents } from '../../src/routing/kv-event-stream.ts';
import { recordedFrames } from '../helpers/recorded-kv-events.ts';
import { waitFor } from '../helpers/until.ts';

describe('KV events over ZeroMQ', () => {
  it('follows what a vLLM has published: replay first, then live, a gap replayed', async () => {
    const published = recordedFrames('sub');
    const publisher = new Publisher({ linger: 0 });
    const router = new Router({ linger: 0 });
    await publisher.bind('tcp://127.0.0.1:*');
    await router.bind('tcp://127.0.0.1:*');
    let kept = 3;
    const requests: number[] = [];
    const serveReplays = (async () => {
      for await (const [identity, , from] of router) {
        requests.push(Number(from!.readBigUInt64BE()));
        for (const frames of published.slice(requests.at(-1), kept))
          await router.send([identity!, Buffer.alloc(0), ...frames]);
        await router.send([identity!, Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(8, 0xff), Buffer.alloc(0)]);
      }
    })();

    const sockets = await openKvEventSockets({ events: publisher.lastEndpoint!, replay: router.lastEndpoint! });
    const blocks = new Set<bigint>();
    const seen: string[] = [];
    const following = followKvEvents(sockets, await kvEventDecoder(readVllmEvents), {
      apply(event) {
        seen.push(event.kind);
        if (event.kind === 'cleared') blocks.clear();
        else for (const hash of event.hashes) event.kind === 'stored' ? blocks.add(hash) : blocks.delete(hash);
      },
      forget: (reason) => seen.push(reason),
      unreadable: (reason) => seen.push(reason),
    });
    await waitFor('the replay of the beginning', () => requests.length === 1 && seen.length >= 3);
    // The fourth message is missed, the fifth arrives. A subscriber may take a moment to be one: publishing is repeated.
    kept = 5;
    await waitFor('the gap to be replayed', async () => {
      await publisher.send(published[4]!);
      return requests.length === 2;
    });
    for (const frames of published.slice(5)) await publisher.send(frames);
    const expected = (await kvEventDecoder(readVllmEvents))(published.at(-1)![2]!).events.length;
    expect(expected).toBeGreaterThan(0);
    const decode = await kvEventDecoder(readVllmEvents);
    const all = published.flatMap((frames) => decode(frames[2]!).events.map(({ kind }) => kind));
    await waitFor('every event', () => seen.length === all.length);
    expect(seen).toEqual(all);
    expect(requests).toEqual([0, 3]);
    sockets[Symbol.dispose]();
    await following;
    publisher.close();
    router.close();
    await serveReplays;
  });
});
