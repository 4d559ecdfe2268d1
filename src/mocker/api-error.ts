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

export function modelNotFound(model: string): ApiError {
  return envelope(404, `The model \`${model}\` does not exist.`, 'NotFoundError', 'model');
}

export function promptTooLong(maxModelLen: number, promptTokens: number): ApiError {
  return envelope(
    400,
    `This model's maximum context length is ${maxModelLen} tokens. However, your request has ${promptTokens} input tokens. Please reduce the length of the input messages.`,
    'BadRequestError',
    'input_tokens',
  );
}

export function outputTooLong(maxModelLen: number, promptTokens: number, outputTokens: number): ApiError {
  return envelope(
    400,
    `This model's maximum context length is ${maxModelLen} tokens. However, you requested ${outputTokens} output tokens and your prompt contains ${promptTokens} input tokens, for a total of ${promptTokens + outputTokens} tokens. Please reduce the length of the input prompt or the number of requested output tokens.`,
    'BadRequestError',
    'input_tokens',
  );
}

/** A value that is there but cannot be. */
export function badRequest(message: string, param: string | null): ApiError {
  return envelope(400, message, 'BadRequestError', param);
}

/** A body that does not fit the schema; `location` is the path of the field. */
export function invalidField(location: string, problem: string, type = 'value_error'): ApiError {
  const where = ['body', ...location.split('.')].map((part) => `'${part}'`).join(', ');
  const message = `1 validation error:\n  {'type': '${type}', 'loc': (${where}), 'msg': '${problem}'}`;
  return envelope(400, message, 'Bad Request', location);
}

export function invalidJson(position: number): ApiError {
  const message = `1 validation error:\n  {'type': 'json_invalid', 'loc': ('body', ${position}), 'msg': 'JSON decode error', 'input': {}, 'ctx': {'error': 'Expecting value'}}`;
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
