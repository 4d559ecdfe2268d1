import { describe, expect, it } from 'vitest';
import { StepClock } from '../../../src/mocker/step-clock.ts';

describe('step clock', () => {
  it('does not drift when timers are late', () => {
    const clock = new StepClock(1_000);
    for (let step = 1; step <= 100; step += 1) {
      clock.advance(10, 1_000 + (step - 1) * 10 + 3);
      expect(clock.dueMs).toBe(1_000 + step * 10);
    }
  });

  it('begins anew after a pause', () => {
    const clock = new StepClock(0);
    clock.advance(10, 0);
    clock.start(500);
    clock.advance(10, 500);
    expect(clock.dueMs).toBe(510);
  });

  it('does not go back when it was ahead', () => {
    const clock = new StepClock(0);
    clock.advance(10, 0);
    clock.start(9.7);
    expect(clock.dueMs).toBe(10);
  });

  it('does not make up for a long stop', () => {
    const clock = new StepClock(0);
    clock.advance(10, 60_000);
    expect(clock.dueMs).toBe(59_760);
  });
});
