/**
 * A worker's own refusal in OpenAI's envelope. vLLM's validation errors and llama.cpp's errors have it already and pass byte for byte;
 * SGLang's and TensorRT-LLM's are flat (`{"object":"error","message",…}`), vLLM's 401 is `{"error":"Unauthorized"}` and an unknown
 * path's `{"detail":"Not Found"}`. What is none of these passes as it came.
 */
export function inErrorEnvelope(body: Buffer): Buffer {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return body;
  }
  if (typeof parsed !== 'object' || parsed === null) return body;
  const { error, object, message, detail, type, param, code } = parsed as Record<string, unknown>;
  const text =
    typeof error === 'string' ? error : object === 'error' ? message : error === undefined ? detail : undefined;
  if (typeof text !== 'string') return body;
  const envelope = {
    message: text,
    type: typeof type === 'string' ? type : 'invalid_request_error',
    param: typeof param === 'string' ? param : null,
    code: code ?? null,
  };
  return Buffer.from(JSON.stringify({ error: envelope }));
}

/** What a refusal says, without its envelope; the body as it came, but for its length, where it is none of the known shapes. */
export function refusalOf(body: Buffer, maxLength = 300): string {
  const text = body.toString('utf8');
  let message: unknown;
  try {
    message = (JSON.parse(inErrorEnvelope(body).toString('utf8')) as { error?: { message?: unknown } }).error?.message;
  } catch {
    // Not JSON.
  }
  return (typeof message === 'string' ? message : text).slice(0, maxLength).trim();
}
