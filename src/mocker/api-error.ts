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

/** Of text that was cut nobody knows how long it is. */
export function promptTooLong(maxModelLen: number, promptTokens: number, isCut: boolean): ApiError {
  const counted = isCut ? maxModelLen + 1 : promptTokens;
  return badParameter(
    `This model's maximum context length is ${maxModelLen} tokens. However, your prompt contains ${isCut ? 'at least ' : ''}${counted} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.`,
    'input_tokens',
    counted,
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

/** A body that does not fit the schema; `field` is the path of what does not, `body` itself when left out; `context` is shown as it is. */
export function invalidField(
  problem: string,
  type: string,
  input: unknown,
  field?: string,
  context?: string,
): ApiError {
  const where = field === undefined ? 'body' : `body.${field}`;
  const more = context === undefined ? '' : `, 'ctx': ${context}`;
  const message = `1 validation error:\n  {'type': '${type}', 'loc': '${where}', 'msg': '${problem}', 'input': '${describeInput(input)}'${more}}`;
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

/** At what `--enable-scale-out` opens, without it. */
export function scaleOutDisabled(): ApiError {
  const message = 'Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them.';
  return envelope(403, message, 'PermissionDeniedError', null);
}

/** A list of stop strings is neither one string nor short enough. */
export function tooManyStopStrings(count: number, most: number): ApiError {
  const input = `'input': '<list of ${count} items>'`;
  const errors = [
    `{'type': 'string_type', 'loc': 'body.stop', 'msg': 'Input should be a valid string', ${input}}`,
    `{'type': 'too_long', 'loc': 'body.stop', 'msg': 'List should have at most ${most} items after validation, not ${count}', ${input}, 'ctx': {'field_type': 'List', 'max_length': ${most}, 'actual_length': ${count}}}`,
  ];
  return envelope(400, `2 validation errors:\n  ${errors.join('\n  ')}`, 'Bad Request', 'body.stop');
}
