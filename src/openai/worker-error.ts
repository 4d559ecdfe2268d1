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
