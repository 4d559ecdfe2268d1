import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { PeerWatch, stalePeer } from '../../../src/controller/stale-peers.ts';
import type { PairSnapshot, ProcessSnapshot } from '../../../src/deployment/snapshot.ts';
import { EventLog } from '../../../src/supervise/event-log.ts';
import type { AgentStatus } from '../../../src/supervise/protocol.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialPlan, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const worker = (name: string, host: string, engine = 'sglang') =>
  trivialProcess(name, { host, engine, model: 'm', role: name.startsWith('prefill') ? 'prefill' : 'decode' });
const plan = (engine?: string) =>
  trivialPlan('d', [
    ...[worker('prefill-0', 'alpha', engine), worker('decode-0', 'alpha', engine)],
    ...[worker('decode-1', 'beta', engine), worker('decode-2', 'beta', engine)],
  ]);

const process = (name: string, generation = 1, state = 'ready') =>
  ({ name, generation, state }) as unknown as ProcessSnapshot;
const failed = (decode: string): PairSnapshot => ({ prefill: 'prefill-0', decode, state: 'failed', detail: 'x' });

/** What the agents of both hosts say after prefill-0 has come back. */
function statuses(pairs: PairSnapshot[], beta: ProcessSnapshot[], prefillLife = 2): Map<string, AgentStatus> {
  const alpha = { host: 'alpha', processes: [process('prefill-0', prefillLife), process('decode-0')], pairs };
  return new Map([
    ['alpha', alpha as unknown as AgentStatus],
    ['beta', { host: 'beta', processes: beta, pairs: [] } as unknown as AgentStatus],
  ]);
}
const both = [process('decode-1'), process('decode-2')];

describe('a worker on another host that cannot hand over with a restarted peer', () => {
  it('is named, each once for a life of the peer, and none while another of its kind is down', () => {
    const pairs = [failed('decode-0'), failed('decode-1'), failed('decode-2')];
    const first = stalePeer(plan(), statuses(pairs, both), new Set())!;
    expect(first.name).toBe('decode-1');
    const told = new Set([first.key]);
    expect(
      stalePeer(plan(), statuses(pairs, [process('decode-1', 1, 'draining'), process('decode-2')]), told),
    ).toBeUndefined();
    const second = stalePeer(plan(), statuses(pairs, both), told)!;
    expect(second.name).toBe('decode-2');
    expect(stalePeer(plan(), statuses(pairs, both), new Set([first.key, second.key]))).toBeUndefined();
    expect(stalePeer(plan(), statuses(pairs, both, 3), told)?.name).toBe('decode-1');
  });

  it('waits while the agent of the one that came back restarts those of its own host', () => {
    const pairs = [failed('decode-0'), failed('decode-1')];
    const named = (state: string, known = pairs) => {
      const all = statuses(known, both);
      all.get('alpha')!.processes[0] = process('prefill-0', 2, state);
      return stalePeer(plan(), all, new Set())?.name;
    };
    expect(named('starting')).toBeUndefined();
    expect(named('ready')).toBe('decode-1');
    // It may never be ready before one of another host is restarted.
    expect(named('starting', [failed('decode-1')])).toBe('decode-1');
  });

  it('is not named for an engine that goes on, nor for a pair that failed before anybody was restarted', () => {
    const pairs = [failed('decode-1')];
    expect(stalePeer(plan('vllm'), statuses(pairs, both), new Set())).toBeUndefined();
    expect(stalePeer(plan(), statuses(pairs, both, 1), new Set())).toBeUndefined();
    expect(stalePeer(plan(), statuses([], both), new Set())).toBeUndefined();
  });

  it('is restarted, one after the other, also when a restart fails', async () => {
    using tmp = tmpDir();
    const restarted: string[] = [];
    let busy = true;
    const watch = new PeerWatch({
      plan: () => plan(),
      statuses: () => statuses([failed('decode-1'), failed('decode-2')], both),
      busy: () => busy,
      restart: async (name) => {
        restarted.push(name);
        if (name === 'decode-1') throw new Error('no');
      },
      events: new EventLog(path.join(tmp.dir, 'events.jsonl'), 'controller'),
    });
    watch.look();
    expect(restarted).toEqual([]);
    busy = false;
    watch.look();
    watch.look();
    await waitFor('both', () => restarted.length === 2);
    expect(restarted).toEqual(['decode-1', 'decode-2']);
  });
});
