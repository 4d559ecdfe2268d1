import { DynamoError } from '../base/errors.ts';
import type { KvEventSource } from '../discovery/discovery.ts';
import { kvEventDecoder } from '../engines/kv-event-payload.ts';
import type { KvEvent } from '../engines/kv-events.ts';
import { readSglangEvents } from '../engines/sglang/kv-events.ts';
import { readVllmEvents } from '../engines/vllm/kv-events.ts';
import { kvEventSourceOf } from '../plan/kv-event-source.ts';
import { openKvEventSockets } from '../routing/kv-event-sockets.ts';
import { followKvEvents } from '../routing/kv-event-stream.ts';
import { liveProcesses } from './live-processes.ts';

/** A worker that publishes, and in which dialect. */
export interface KvEventTarget {
  worker: string;
  engine: string;
  source: KvEventSource;
}

/** Something a worker said, or that went wrong with what it says. */
export type KvEventLine =
  | { worker: string; rank: number; event: KvEvent }
  | { worker: string; rank: number; problem: string };

/** What became of one worker's blocks while it was watched. */
export interface KvEventTally {
  worker: string;
  rank: number;
  stored: number;
  removed: number;
  /** Blocks it has at the end, in any tier, as far as its events tell. */
  known: number;
  problems: number;
}

/** Workers of a deployment that publish KV events. Throws `USAGE` when none does. */
export async function kvEventTargets(deployment: string): Promise<KvEventTarget[]> {
  const { processes } = await liveProcesses(deployment);
  const targets = processes.flatMap((spec) => {
    const source = kvEventSourceOf(spec);
    return source === null ? [] : [{ worker: spec.name, engine: spec.engine ?? '', source }];
  });
  if (targets.length > 0) return targets;
  throw new DynamoError('USAGE', `no worker of ${deployment} publishes KV events`, {
    hint: 'Set `kvEvents: true` in the recipe.',
  });
}

/** Follows every rank of every worker until the signal ends; what they still keep of the past comes first. */
export async function watchKvEvents(
  targets: readonly KvEventTarget[],
  onLine: (line: KvEventLine) => void,
  signal: AbortSignal,
): Promise<KvEventTally[]> {
  const ranks = targets.flatMap((target) =>
    Array.from({ length: target.source.ranks }, (_, rank) => watchRank(target, rank, onLine, signal)),
  );
  return Promise.all(ranks);
}

async function watchRank(
  { worker, engine, source }: KvEventTarget,
  rank: number,
  onLine: (line: KvEventLine) => void,
  signal: AbortSignal,
): Promise<KvEventTally> {
  const tally: KvEventTally = { worker, rank, stored: 0, removed: 0, known: 0, problems: 0 };
  const blocks = new Set<string>();
  const note = (problem: string): void => {
    tally.problems += 1;
    onLine({ worker, rank, problem });
  };
  using sockets = await openKvEventSockets({
    events: withPort(source.events, rank),
    replay: source.replay === null ? null : withPort(source.replay, rank),
  });
  signal.addEventListener('abort', () => sockets[Symbol.dispose](), { once: true });
  if (signal.aborted) return tally;
  const decode = await kvEventDecoder(engine === 'sglang' ? readSglangEvents : readVllmEvents);
  await followKvEvents(sockets, decode, {
    apply(event) {
      if (event.kind === 'cleared') blocks.clear();
      else if (event.kind === 'stored') {
        tally.stored += event.hashes.length;
        for (const hash of event.hashes) blocks.add(`${hash} ${event.tier} ${event.group}`);
      } else {
        tally.removed += event.hashes.length;
        for (const hash of event.hashes) blocks.delete(`${hash} ${event.tier} ${event.group ?? 0}`);
      }
      onLine({ worker, rank, event });
    },
    forget(reason) {
      blocks.clear();
      note(reason);
    },
    unreadable: note,
  });
  return { ...tally, known: blocks.size };
}

/** `tcp://10.0.0.7:7100` for rank 2 is `tcp://10.0.0.7:7102`. */
function withPort(address: string, rank: number): string {
  const at = address.lastIndexOf(':');
  return `${address.slice(0, at)}:${Number(address.slice(at + 1)) + rank}`;
}
