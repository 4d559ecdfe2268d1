import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRestart, describeExit, type RestartRule } from '../../../src/supervise/restart-policy.ts';

const rule = (policy: RestartRule['policy']): RestartRule => ({
  policy,
  backoff: { initialMs: 1_000, maxMs: 60_000, factor: 2 },
  resetAfterMs: 600_000,
  maxRestarts: 3,
});
const exits = {
  clean: { code: 0, signal: null, readyForMs: 0 },
  failed: { code: 3, signal: null, readyForMs: 0 },
  killed: { code: null, signal: 'SIGKILL', readyForMs: 0 },
  unseen: { code: null, signal: null, readyForMs: 0 },
  'failed after long service': { code: 3, signal: null, readyForMs: 600_000 },
};

describe('decideRestart', () => {
  it.each([
    ['never', 'clean', 0, { action: 'done', reason: 'exit status 0' }],
    ['never', 'failed', 0, { action: 'fail', reason: 'exit status 3; restart policy is never' }],
    ['never', 'unseen', 0, { action: 'fail', reason: 'ended unseen; restart policy is never' }],
    ['on-failure', 'clean', 0, { action: 'done', reason: 'exit status 0; restart policy is on-failure' }],
    [
      'on-failure',
      'failed',
      0,
      { action: 'restart', attempt: 1, delayMs: 1_000, reason: 'exit status 3; restart 1 of 3' },
    ],
    [
      'on-failure',
      'killed',
      1,
      { action: 'restart', attempt: 2, delayMs: 2_000, reason: 'killed by SIGKILL; restart 2 of 3' },
    ],
    [
      'on-failure',
      'unseen',
      2,
      { action: 'restart', attempt: 3, delayMs: 4_000, reason: 'ended unseen; restart 3 of 3' },
    ],
    ['on-failure', 'failed', 3, { action: 'fail', reason: 'exit status 3; it was restarted 3 times in a row' }],
    ['on-failure', 'failed after long service', 3, { action: 'restart', attempt: 1, delayMs: 1_000 }],
    ['always', 'clean', 0, { action: 'restart', attempt: 1, delayMs: 1_000, reason: 'exit status 0; restart 1 of 3' }],
    ['always', 'clean', 3, { action: 'fail', reason: 'exit status 0; it was restarted 3 times in a row' }],
  ] as const)('%s, %s, attempt %d', (policy, exit, attempt, expected) => {
    expect(decideRestart(rule(policy), exits[exit], attempt, 0.5)).toMatchObject(expected);
  });

  it('ends after as many restarts as the rule allows, whatever the exits', () => {
    const failure = fc.constantFrom(exits.failed, exits.killed, exits.unseen);
    fc.assert(
      fc.property(
        fc.array(failure, { minLength: 4, maxLength: 4 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (run, random) => {
          let attempt = 0;
          const actions = run.map((exit) => {
            const decision = decideRestart(rule('on-failure'), exit, attempt, random);
            if (decision.action === 'restart') attempt = decision.attempt;
            return decision.action;
          });
          expect(actions).toEqual(['restart', 'restart', 'restart', 'fail']);
        },
      ),
    );
  });
});

describe('describeExit', () => {
  it.each([
    [{ code: 0, signal: null }, 'exit status 0'],
    [{ code: null, signal: 'SIGSEGV' }, 'killed by SIGSEGV'],
    [{ code: null, signal: null }, 'ended unseen'],
  ])('%j reads %s', (exit, text) => expect(describeExit(exit)).toBe(text));
});
