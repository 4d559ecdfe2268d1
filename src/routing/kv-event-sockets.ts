import { readPublished, readReplayed, replayRequest } from './kv-event-sequence.ts';

/** One message of a publisher. */
export interface NumberedPayload {
  sequence: number;
  payload: Buffer;
}

/** The two sockets on which a worker tells of its KV cache: what happens, and what has happened. */
export interface KvEventSockets extends Disposable {
  /** Messages as they are published. Ends when disposed. Some may be missing. */
  published(): AsyncIterable<NumberedPayload>;
  /** Everything the worker still keeps from `sequence` on. Rejects when it does not answer in time, or cannot be asked. */
  replay(sequence: number): Promise<NumberedPayload[]>;
}

export interface KvEventEndpoints {
  /** `tcp://127.0.0.1:5557`. */
  events: string;
  /** Null where nothing is kept. */
  replay: string | null;
}

/** Between two answers of a replay. The publisher looks at requests every 100 ms. */
const REPLAY_PATIENCE_MS = 5_000;

/** Connects over ZeroMQ, which connects again by itself when the worker comes back. */
export async function openKvEventSockets(endpoints: KvEventEndpoints): Promise<KvEventSockets> {
  const { Dealer, Subscriber } = await import('./zeromq.ts');
  const subscriber = new Subscriber({ receiveHighWaterMark: 0, linger: 0 });
  subscriber.connect(endpoints.events);
  subscriber.subscribe();
  return {
    async *published() {
      for await (const frames of subscriber) {
        const message = readPublished(frames);
        if (message) yield message;
      }
    },
    async replay(sequence) {
      if (endpoints.replay === null) throw new Error('it keeps no events for replay');
      const dealer = new Dealer({ linger: 0, sendTimeout: REPLAY_PATIENCE_MS, receiveTimeout: REPLAY_PATIENCE_MS });
      try {
        dealer.connect(endpoints.replay);
        await dealer.send(replayRequest(sequence));
        const messages: NumberedPayload[] = [];
        for (;;) {
          const message = readReplayed(await dealer.receive());
          if (message === 'end') return messages;
          if (message) messages.push(message);
        }
      } finally {
        dealer.close();
      }
    },
    [Symbol.dispose]: () => subscriber.close(),
  };
}
