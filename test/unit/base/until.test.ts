import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { until } from '../../../src/base/until.ts';

describe('until', () => {
  it('returns the first thing that is not undefined, also null and false', async () => {
    let calls = 0;
    expect(await until(() => (++calls === 3 ? null : undefined), { deadlineMs: 60_000, intervalMs: 1 })).toBeNull();
    expect(calls).toBe(3);
    expect(await until(async () => false, { deadlineMs: 60_000 })).toBe(false);
  });

  it('tries once with a deadline of nothing, and once more at the end of another', async () => {
    let calls = 0;
    const probe = () => {
      calls += 1;
      return undefined;
    };
    expect(await until(probe, { deadlineMs: 0 })).toBeUndefined();
    expect(calls).toBe(1);
    // A clock of its own: on that of the machine the deadline may be over before the first pause.
    let nowMs = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    onTestFinished(() => clock.mockRestore());
    const late = () => {
      if (calls === 2) nowMs = 5;
      return probe();
    };
    expect(await until(late, { deadlineMs: 5, intervalMs: 1_000 })).toBeUndefined();
    expect(calls).toBe(3);
  });

  it('passes on what the probe throws', async () => {
    const failing = () => Promise.reject(new Error('broken'));
    await expect(until(failing, { deadlineMs: 60_000 })).rejects.toThrow('broken');
  });

  it('ends with its signal, before a try and between two', async () => {
    let calls = 0;
    const stop = new AbortController();
    const probe = () => {
      calls += 1;
      stop.abort(new Error('enough'));
      return undefined;
    };
    await expect(until(probe, { deadlineMs: 60_000, intervalMs: 60_000, signal: stop.signal })).rejects.toThrow(
      'enough',
    );
    await expect(until(probe, { deadlineMs: 60_000, signal: stop.signal })).rejects.toThrow('enough');
    expect(calls).toBe(1);
  });
});
