import { expect, it } from 'vitest';
import { compareVersions, judgeVersion } from '../../../src/engines/engine-version.ts';

it('compares by numbers', () => {
  expect(compareVersions('0.9.2', '0.22.0')).toBeLessThan(0);
  expect(compareVersions('0.32.0+cpu', '0.32.0')).toBe(0);
  expect(compareVersions('0.29.0rc1', '0.29')).toBe(0);
  expect(compareVersions('1.0', '0.99.9')).toBeGreaterThan(0);
  expect(compareVersions('6200', '6201')).toBeLessThan(0);
  expect(compareVersions('unknown', '0')).toBe(0);
});

it('refuses what is known not to do, and notes what nobody has seen', () => {
  const known = { oldest: { version: '0.22.0', because: 'leases' }, newest: '0.32.0' };
  expect(judgeVersion('0.21.4', known)).toEqual({
    verdict: 'old',
    text: '0.21.4 is too old: dynamo needs 0.22.0 or newer for leases',
  });
  expect(judgeVersion('0.22.0', known)).toEqual({ verdict: 'fits' });
  expect(judgeVersion('0.32.7+cpu', known)).toEqual({ verdict: 'fits' });
  expect(judgeVersion('0.33.0', known).verdict).toBe('new');
  expect(judgeVersion('0.1', { oldest: null, newest: '0.5.18' })).toEqual({ verdict: 'fits' });
});
