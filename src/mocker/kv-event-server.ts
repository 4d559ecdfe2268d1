import { KvEventPublisher } from './kv-event-publisher.ts';
import type { KvEventOptions } from './options.ts';

/** Binds both sockets as vLLM does and publishes until `signal` ends. Rejects when an address is taken. */
export async function serveKvEvents(
  { endpoint, replayEndpoint }: KvEventOptions,
  blockSize: number,
  signal: AbortSignal,
): Promise<KvEventPublisher> {
  const [{ Publisher, Router }, { Packr }] = await Promise.all([import('../routing/zeromq.ts'), import('msgpackr')]);
  const packr = new Packr({ useRecords: false });
  const socket = new Publisher({ linger: 0 });
  await socket.bind(endpoint);
  signal.addEventListener('abort', () => socket.close(), { once: true });
  let sending = Promise.resolve();
  const publisher = new KvEventPublisher(blockSize, {
    // One message after the other: the socket takes one at a time.
    send(frames) {
      sending = sending.then(() => (signal.aborted ? undefined : socket.send([...frames]))).catch(() => {});
    },
    pack: (value) => packr.pack(value),
    now: () => Date.now() / 1_000,
  });
  if (replayEndpoint !== null) {
    const router = new Router({ linger: 0 });
    await router.bind(replayEndpoint);
    signal.addEventListener('abort', () => router.close(), { once: true });
    void answerReplays(router, publisher).catch(() => {});
  }
  return publisher;
}

interface ReplaySocket extends AsyncIterable<Buffer[]> {
  send(frames: Buffer[]): Promise<void>;
}

/** A request is `[identity, "", sequence]`; anything else is passed over. */
async function answerReplays(router: ReplaySocket, publisher: KvEventPublisher): Promise<void> {
  for await (const [identity, , sequence] of router) {
    if (identity === undefined || sequence?.length !== 8) continue;
    for (const frames of publisher.replay(Number(sequence.readBigUInt64BE()))) await router.send([identity, ...frames]);
  }
}
