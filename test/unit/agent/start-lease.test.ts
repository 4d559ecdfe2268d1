import { describe, expect, it } from 'vitest';
import { StartLease } from '../../../src/agent/start-lease.ts';

describe('StartLease', () => {
  it('counts the silence since the last sign of life on the clock it is given', () => {
    let now = 1_000;
    const lease = new StartLease(() => now);
    expect(lease.silentForMs()).toBe(0);
    now += 700;
    expect(lease.silentForMs()).toBe(700);
    lease.renew();
    expect(lease.silentForMs()).toBe(0);
  });

  it('calls when the silence is longer than the lease, not when it is as long', async () => {
    let now = 0;
    const lease = new StartLease(() => now);
    const stop = new AbortController();
    const calls: number[] = [];
    const watching = lease.watch(
      () => {
        now += 200; // time passes after each look
        return 200;
      },
      async () => {
        calls.push(lease.silentForMs());
        stop.abort();
      },
      stop.signal,
    );
    await watching;
    expect(calls).toEqual([600]); // not at 200; at the look of 400, and 200 later it is asked
  });

  it('does not blame the controller for what the agent itself has missed', async () => {
    let now = 0;
    const lease = new StartLease(() => now);
    const stop = new AbortController();
    const calls: number[] = [];
    // While it sleeps: it is suspended for a minute.
    setTimeout(() => {
      now += 60_000;
    }, 20);
    let looks = 0;
    await lease.watch(
      () => {
        looks += 1;
        if (looks === 3) now += 5_000; // awake, and nothing heard
        return 1_000;
      },
      async () => {
        calls.push(lease.silentForMs());
        stop.abort();
      },
      stop.signal,
    );
    expect([calls, looks]).toEqual([[5_200], 4]);
  });

  it('never calls after the end', async () => {
    await new StartLease().watch(
      () => -1,
      async () => expect.unreachable(),
      AbortSignal.abort(),
    );
  });
});
