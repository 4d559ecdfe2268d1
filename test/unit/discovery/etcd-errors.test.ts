import { describe, expect, it } from 'vitest';
import { explainEtcdError } from '../../../src/discovery/etcd-errors.ts';

const where = { urls: ['http://10.0.0.1:2379'], user: undefined };

describe('what an etcd that cannot be used is said to do', () => {
  it.each([
    ['14 UNAVAILABLE: No connection established. Last error: null. Resolution note: ', 'no connection'],
    [
      '14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 10.0.0.1:2379 (2026-11-21T15:00:00.000Z)',
      'connection refused',
    ],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded after 1.001s', 'no answer in time'],
    ['14 UNAVAILABLE: something else (attempt 3)', 'something else'],
  ])('%s', (text, reason) => {
    expect(explainEtcdError(new Error(text), where)).toMatchObject({
      code: 'DISCOVERY_UNREACHABLE',
      message: `etcd at http://10.0.0.1:2379 cannot be used: ${reason}`,
    });
  });
});
