/** An error answer in vLLM's words. `body` is what goes out as JSON. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, message: string, body: unknown) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.body = body;
  }
}

/** vLLM's error envelope. */
export function errorBody(message: string, type: string, param: string | null, code: number): object {
  return { error: { message, type, param, code } };
}

function envelope(status: number, message: string, type: string, param: string | null): ApiError {
  return new ApiError(status, message, errorBody(message, type, param, status));
}

export function modelNotFound(model: string, served: string): ApiError {
  return envelope(404, `The model \`${model}\` does not exist. Valid aliases: ${served}.`, 'NotFoundError', 'model');
}

export function promptTooLong(maxModelLen: number, promptTokens: number): ApiError {
  return badParameter(
    `This model's maximum context length is ${maxModelLen} tokens. However, your prompt contains ${promptTokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.`,
    'input_tokens',
    promptTokens,
  );
}

/** Values that are what they should be but cannot be served. */
export function badRequest(message: string): ApiError {
  return envelope(400, message, 'BadRequestError', null);
}

/** The same where vLLM says which parameter it is, and sometimes what it was. */
export function badParameter(message: string, param: string, value?: number | string): ApiError {
  const note = value === undefined ? `(parameter=${param})` : `(parameter=${param}, value=${value})`;
  return envelope(400, `${message} ${note}`, 'BadRequestError', param);
}

/** A body that does not fit the schema; `field` is the path of what does not, `body` itself when left out. */
export function invalidField(problem: string, type: string, input: unknown, field?: string): ApiError {
  const where = field === undefined ? 'body' : `body.${field}`;
  const message = `1 validation error:\n  {'type': '${type}', 'loc': '${where}', 'msg': '${problem}', 'input': '${describeInput(input)}'}`;
  return envelope(400, message, 'Bad Request', where);
}

/** A field that is not there; `given` is what it was looked for in. */
export function missingField(given: unknown, field?: string): ApiError {
  return invalidField('Field required', 'missing', given, field);
}

function describeInput(input: unknown): string {
  if (input === undefined || input === null) return 'None';
  if (Array.isArray(input)) return `<list of ${input.length} items>`;
  return typeof input === 'object' ? `<dict of ${Object.keys(input).length} items>` : String(input);
}

export function invalidJson(position: number): ApiError {
  const message = `1 validation error:\n  {'type': 'json_invalid', 'loc': 'body.${position}', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', 'ctx': {'error': 'Expecting value'}}`;
  return envelope(400, message, 'Bad Request', `body.${position}`);
}

export function wrongContentType(): ApiError {
  const message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed";
  return envelope(400, message, 'Bad Request', null);
}

export function internalError(message = 'Internal server error'): ApiError {
  return envelope(500, message, 'InternalServerError', null);
}

export function notFound(): ApiError {
  return new ApiError(404, 'Not Found', { detail: 'Not Found' });
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'Method Not Allowed', { detail: 'Method Not Allowed' });
}

export function bodyTooLarge(): ApiError {
  return envelope(413, 'Request Entity Too Large', 'Request Entity Too Large', null);
}
