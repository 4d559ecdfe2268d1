import { expect, it } from 'vitest';
import { PhaseClock } from '../../../src/agent/phase-clock.ts';

it('says how long each phase took, and has taken so far', () => {
  const clock = new PhaseClock();
  expect(clock.durations(5)).toEqual([]);
  clock.enter('weights', 5); // nobody watched its beginning
  expect(clock.durations(6)).toEqual([]);
  clock.begin(100);
  clock.enter('start', 110);
  clock.enter('import', 200);
  clock.enter('import', 300);
  clock.enter('weights', 450.4);
  expect(clock.durations(500.4)).toEqual([
    { phase: 'start', ms: 100 },
    { phase: 'import', ms: 250 },
    { phase: 'weights', ms: 50 },
  ]);
  clock.end(1_000);
  expect(clock.durations(9_000).at(-1)).toEqual({ phase: 'weights', ms: 550 });
  clock.begin(10_000);
  expect(clock.durations(10_001)).toEqual([{ phase: 'start', ms: 1 }]);
});
