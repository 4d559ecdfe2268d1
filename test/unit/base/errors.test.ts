import { describe, expect, it } from 'vitest';
import { DynamoError, ERRORS, type ErrorCode, messageOf, systemCode } from '../../../src/base/errors.ts';

const entries = Object.entries(ERRORS) as [ErrorCode, { exit: number; http?: number; hint: string }][];

describe('the table', () => {
  it.each(entries)('%s has an exit status of its kind and a hint', (_, entry) => {
    expect([1, 2, 3, 4, 5, 6, 7, 8]).toContain(entry.exit);
    expect(entry.hint).toMatch(/\S[.:!`]$|\.$/);
    // Exit status 1 is for bugs, and for errors that only ever reach API clients.
    if (entry.exit === 1) expect(entry.http).toBeGreaterThanOrEqual(400);
  });
});

describe('DynamoError', () => {
  it('takes hint, exit and HTTP status from the table unless told better', () => {
    const plain = new DynamoError('PORT_IN_USE', 'taken');
    expect(plain).toMatchObject({ hint: ERRORS.PORT_IN_USE.hint, exitStatus: 4, httpStatus: 500, details: [] });
    expect(new DynamoError('SATURATED', 'full').httpStatus).toBe(529);
    expect(new DynamoError('PORT_IN_USE', 'taken', { hint: 'better' }).hint).toBe('better');
    expect('cause' in plain).toBe(false);
  });

  it('crosses a socket whole', () => {
    const error = new DynamoError('NOT_READY', 'too slow', { hint: 'h', details: ['a', 'b'], cause: new Error('c') });
    const back = DynamoError.from(JSON.parse(JSON.stringify(error)));
    expect(back).toBeInstanceOf(DynamoError);
    expect(back.toJSON()).toEqual(error.toJSON());
  });

  it.each(['FROM_THE_FUTURE', 'toString', '__proto__'])(
    'with the unknown code %s is a failed process, message kept',
    (code) => {
      const back = DynamoError.from({ code, message: 'm', hint: 'h', details: ['d'], exit: 99 });
      expect(back).toMatchObject({ code: 'PROCESS_FAILED', message: 'm', hint: 'h', details: ['d'], exitStatus: 6 });
    },
  );
});

describe('whatever was thrown', () => {
  it('has a message and perhaps a system code', () => {
    expect(messageOf(new Error('x'))).toBe('x');
    expect(messageOf('text')).toBe('text');
    expect(messageOf(undefined)).toBe('undefined');
    expect(systemCode(Object.assign(new Error(), { code: 'ENOENT' }))).toBe('ENOENT');
    for (const thrown of [null, 'ENOENT', { code: 7 }, new Error('x')]) expect(systemCode(thrown)).toBeUndefined();
  });
});
