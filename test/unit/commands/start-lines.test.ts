import { describe, expect, it } from 'vitest';
import { readyLines, SnapshotLines } from '../../../src/commands/start-lines.ts';
import { makeSnapshot } from '../../helpers/snapshots.ts';

const pending = { state: 'pending' as const, pid: null };
const others = { 'prefill-0': pending, frontend: pending };
const unproven = { pairs: [{ prefill: 'prefill-0', decode: 'decode-0', state: 'unproven' as const, detail: null }] };

describe('SnapshotLines', () => {
  it('says each thing once, when it is new', () => {
    const lines = new SnapshotLines();
    const at = (decode: object, ms: number) =>
      lines.next(makeSnapshot({ ...others, 'decode-0': decode }, unproven), ms);
    expect(at(pending, 0)).toEqual([]);
    const waiting = { state: 'starting', waitingFor: 'GET /health to answer 200' };
    expect(at(waiting, 250)).toEqual(['   250 ms  decode-0   starting   waiting for GET /health to answer 200']);
    expect(at(waiting, 300)).toEqual([]);
    expect(at({ ...waiting, inStateMs: 400 }, 400)).toEqual([]);
    expect(at({ ...waiting, waitingFor: 'a generated token from tiny' }, 1_000)).toEqual([
      '    1.0 s  decode-0   starting   waiting for a generated token from tiny',
    ]);
    expect(at({ state: 'ready', pid: 7 }, 65_000)).toEqual([
      '1 min 05 s  decode-0   ready      pid 7, http://127.0.0.1:8201',
    ]);
    expect(at({ state: 'ready', pid: 7 }, 66_000)).toEqual([]);
  });

  it('says why a process is gone or comes back', () => {
    const lines = new SnapshotLines();
    const lastExit = { code: 3, signal: null, at: '', reason: 'exit status 3; restart 1 of 5', lastLines: [] };
    const next = (decode: object) => lines.next(makeSnapshot({ ...others, 'decode-0': decode }, unproven), 0);
    expect(next({ state: 'backoff', waitingFor: 'its restart in 1.0 s', lastExit })[0]).toContain(
      'backoff    waiting for its restart',
    );
    expect(next({ state: 'failed', lastExit })[0]).toContain('failed     exit status 3; restart 1 of 5');
    expect(next({ state: 'exited', lastExit: null })[0]).toMatch(/decode-0 {3}exited$/);
  });

  it('tells of a pair when it is proven and when it fails', () => {
    const lines = new SnapshotLines();
    const next = (state: 'unproven' | 'proven' | 'failed', detail: string | null) =>
      lines.next(
        makeSnapshot({ ...others, 'decode-0': pending }, { pairs: [{ prefill: 'p', decode: 'd', state, detail }] }),
        0,
      );
    expect(next('unproven', null)).toEqual([]);
    expect(next('proven', '12 ms')).toEqual(['     0 ms  p → d  KV transfer proven in 12 ms']);
    expect(next('proven', '13 ms')).toEqual([]);
    expect(next('failed', 'nothing arrived')).toEqual(['     0 ms  p → d  KV transfer FAILED: nothing arrived']);
  });

  it('has nothing to say of nothing', () => {
    expect(new SnapshotLines().next(makeSnapshot({}, { processes: [], pairs: [] }), 0)).toEqual([]);
  });
});

describe('readyLines', () => {
  it('end with a command that can be pasted, whatever the model is called', () => {
    const text = readyLines(makeSnapshot({}, { models: ['it\'s "odd" $HOME'] }), 1_234).join('\n');
    expect(text).toContain('demo is ready in 1.2 s: http://127.0.0.1:8000/v1');
    const quoted = /-d ('.*')/.exec(text)?.[1]?.replaceAll("'\\''", '\0').slice(1, -1).replaceAll('\0', "'");
    expect(JSON.parse(quoted ?? '')).toMatchObject({ model: 'it\'s "odd" $HOME', stream: true });
  });

  it('name the state of a deployment that was there already', () => {
    expect(readyLines(makeSnapshot({}, { state: 'degraded' }), null)[1]).toBe(
      'demo is degraded: http://127.0.0.1:8000/v1',
    );
  });
});
