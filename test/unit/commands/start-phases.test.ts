import { describe, expect, it } from 'vitest';
import { describePhases } from '../../../src/commands/status-text.ts';
import type { PhaseSnapshot } from '../../../src/deployment/snapshot.ts';

const phases = (...each: [PhaseSnapshot['phase'], number][]): PhaseSnapshot[] =>
  each.map(([phase, ms]) => ({ phase, ms }));

describe('what a start was busy with', () => {
  it('is told phase by phase, with the sum', () => {
    expect(describePhases(phases(['start', 2_000], ['weights', 30_000], ['compile', 60_000], ['prove', 1_000]))).toBe(
      '1 min 33 s to start: start 2.0 s, weights 30.0 s, compile 1 min 00 s, prove 1.0 s',
    );
  });

  it('leaves out what took no time', () => {
    expect(describePhases(phases(['start', 2_000], ['weights', 30_000], ['prove', 0]))).toBe(
      '32.0 s to start: start 2.0 s, weights 30.0 s',
    );
  });

  it('is not told where it was short, or where nothing is known but that it started', () => {
    expect(describePhases(phases(['start', 500], ['weights', 1_000]))).toBeUndefined();
    expect(describePhases(phases(['start', 60_000], ['prove', 1_000]))).toBeUndefined();
    expect(describePhases([])).toBeUndefined();
  });
});
