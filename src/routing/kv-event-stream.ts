import type { KvEvent, KvEventBatch, KvEventDecoder } from '../engines/kv-events.ts';
import { KvEventSequence } from './kv-event-sequence.ts';
import type { KvEventSockets, NumberedPayload } from './kv-event-sockets.ts';

/** Who keeps book of a worker's blocks. */
export interface KvEventSink {
  /** In order, without gaps since the last `forget`. */
  apply(event: KvEvent, rank: number | null): void;
  /** What is known of this worker is not true any more: it began anew, or removals were lost. */
  forget(reason: string): void;
  /** A message that is no batch of events. */
  unreadable(reason: string): void;
}

/**
 * Follows the KV events of one rank of one worker: replay of what it still has first, then what it publishes; gaps are replayed,
 * a restart and a gap that cannot be filled make the sink forget. Ends with the sockets. `decode` reads the worker's dialect.
 */
export async function followKvEvents(
  sockets: KvEventSockets,
  decode: KvEventDecoder,
  sink: KvEventSink,
): Promise<void> {
  const sequence = new KvEventSequence();
  const read = (message: NumberedPayload): KvEventBatch | undefined => {
    try {
      return decode(message.payload);
    } catch (error) {
      sink.unreadable(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const apply = ({ events, rank }: KvEventBatch): void => {
    for (const event of events) sink.apply(event, rank);
  };
  /** Replays from `from` on. Returns the number of the message that comes next then. */
  const catchUp = async (from: number): Promise<number> => {
    let expected = from;
    const messages = await sockets.replay(from).catch(() => []);
    for (const message of messages) {
      if (message.sequence < expected) continue;
      const batch = read(message);
      if (message.sequence > expected)
        sink.forget(`events ${expected} to ${message.sequence - 1} are not kept any more`);
      expected = message.sequence + 1;
      sequence.take(message.sequence, batch?.at ?? 0);
      if (batch) apply(batch);
    }
    return expected;
  };
  await catchUp(0);
  for await (const message of sockets.published()) {
    const batch = read(message);
    if (!batch) continue;
    const verdict = sequence.take(message.sequence, batch.at);
    if (verdict.kind === 'repeated') continue;
    if (verdict.kind === 'restarted') sink.forget('the worker began anew');
    const isMissing = verdict.kind === 'behind' || (verdict.kind === 'restarted' && verdict.missing);
    if (isMissing) {
      const reached = await catchUp(verdict.kind === 'behind' ? verdict.from : 0);
      // The replay may have brought this message too.
      if (reached > message.sequence) continue;
      if (reached < message.sequence) sink.forget(`events ${reached} to ${message.sequence - 1} were lost`);
    }
    apply(batch);
  }
}
