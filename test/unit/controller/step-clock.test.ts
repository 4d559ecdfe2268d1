import { describe, expect, it } from 'vitest';
import { StepClock } from '../../../src/controller/step-clock.ts';

describe('the clock of a start', () => {
  it('counts a step from the end of the one before it, so that all add up', async () => {
    let now = 40;
    const clock = new StepClock(() => now, 0);
    clock.end('record');
    now = 55; // between two steps
    await clock.onHost('a', async (mark) => {
      now = 60;
      mark('login');
      now = 75;
      mark('agent');
    });
    clock.end('agents');
    now = 80;
    clock.end('commit');
    expect(clock.steps).toEqual([
      { step: 'record', ms: 40, hosts: [] },
      {
        step: 'agents',
        ms: 35,
        hosts: [
          {
            host: 'a',
            ms: 20,
            parts: [
              { phase: 'login', ms: 5 },
              { phase: 'agent', ms: 15 },
            ],
          },
        ],
      },
      { step: 'commit', ms: 5, hosts: [] },
    ]);
  });

  it('a host whose part ends after the step has failed is in no later step', async () => {
    const clock = new StepClock(() => 0, 0);
    let finish = () => {};
    const slow = clock.onHost('a', () => new Promise<void>((resolve) => (finish = resolve)));
    await expect(clock.onHost('b', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    clock.end('reserve');
    finish();
    await slow;
    clock.end('reserve');
    expect(clock.steps.map(({ hosts }) => hosts.map(({ host }) => host))).toEqual([['a'], []]);
  });
});
