import { describe, expect, it } from 'vitest';
import { DynamoError, type ErrorCode } from '../../../src/base/errors.ts';
import { errorBody, errorStatus } from '../../../src/openai/error-body.ts';

describe('errorBody', () => {
  it.each([
    ['INVALID_REQUEST', 400, 'invalid_request_error'],
    ['MODEL_NOT_FOUND', 404, 'invalid_request_error'],
    ['REQUEST_TOO_LARGE', 413, 'invalid_request_error'],
    ['UPSTREAM_ERROR', 502, 'server_error'],
    ['NO_INSTANCES', 503, 'server_error'],
    ['SHUTTING_DOWN', 503, 'server_error'],
    ['UPSTREAM_TIMEOUT', 504, 'server_error'],
    ['SATURATED', 529, 'overloaded_error'],
  ] as [ErrorCode, number, string][])('gives %s status %d', (code, status, type) => {
    const error = new DynamoError(code, 'why');
    expect(errorStatus(error)).toBe(status);
    expect(errorBody(error, 'p')).toEqual({ error: { message: 'why', type, param: 'p', code: code.toLowerCase() } });
  });

  it('keeps the text of a bug to itself', () => {
    expect(errorStatus(new TypeError('secret'))).toBe(500);
    expect(JSON.stringify(errorBody(new TypeError('secret')))).not.toContain('secret');
  });
});
