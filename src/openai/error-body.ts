import { DynamoError, ERRORS, type ErrorCode } from '../base/errors.ts';

/** The error envelope of the OpenAI API. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

/**
 * Makes every error body the frontend sends: plain, or inside an SSE `data:` event.
 * `code` is the lower-case code of the errors table. A thing thrown that is no `DynamoError` becomes `internal` and keeps
 * its text to itself.
 */
export function errorBody(error: unknown, param: string | null = null): ErrorBody {
  if (!(error instanceof DynamoError)) {
    return { error: { message: 'internal error', type: 'server_error', param, code: 'internal' } };
  }
  return { error: { message: error.message, type: errorType(error.httpStatus), param, code: codeName(error.code) } };
}

/** HTTP status of whatever was thrown. */
export function errorStatus(error: unknown): number {
  return error instanceof DynamoError ? error.httpStatus : 500;
}

function errorType(status: number): string {
  if (status === 529 || status === 429) return 'overloaded_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

function codeName(code: ErrorCode): string {
  return 'http' in ERRORS[code] ? code.toLowerCase() : 'internal';
}
