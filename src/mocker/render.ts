import type { IncomingMessage, ServerResponse } from 'node:http';
import { scaleOutDisabled } from './api-error.ts';
import { asObject, type CompletionRequest, parseCompletionRequest, TEXT_TOKENS } from './completion-request.ts';
import { requestId } from './completions.ts';
import { readJsonBody } from './json-body.ts';
import { sendJson } from './send-json.ts';
import type { Worker } from './worker.ts';

/**
 * `/v1/chat/completions/render` and `/v1/completions/render`: what vLLM would compute, as a request to its endpoint that takes token
 * ids; nothing is generated. For text a list, as there may be several prompts. Refused without `--enable-scale-out`.
 */
export async function handleRender(
  kind: 'chat' | 'text',
  { options }: Worker,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!options.enableScaleOut) throw scaleOutDisabled();
  const body = await readJsonBody(incoming);
  const request = parseCompletionRequest(kind, body, options);
  const id = requestId(incoming);
  const rendered = request.prompts.map((prompt, index) => {
    const suffix = request.prompts.length > 1 ? `-${index}` : '';
    return {
      request_id: kind === 'chat' ? `chatcmpl-${id}` : `cmpl-${id}${suffix}`,
      token_ids: [...prompt],
      ...{ token_offsets: null, features: null, content_parts: null },
      sampling_params: samplingOf(request, index, asObject(body)),
      model: options.modelName,
      ...{ reasoning_ended: null, reasoning_parser_kwargs: null, return_token_ids: null, output_mode: 'tokens' },
      stream: request.stream,
      stream_options: request.includeUsage ? { include_usage: true, continuous_usage_stats: false } : null,
      cache_salt: asObject(body)['cache_salt'] ?? null,
      priority: 0,
      ...{ kv_transfer_params: null, ec_transfer_params: null },
    };
  });
  sendJson(response, 200, kind === 'chat' ? rendered[0] : rendered);
}

/** As much of vLLM's sampling parameters as this engine knows. */
function samplingOf(request: CompletionRequest, index: number, body: Record<string, unknown>): object {
  const transfer = body['kv_transfer_params'] ?? undefined;
  return {
    ...{ presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1 },
    temperature: body['temperature'] ?? 1,
    stop: request.stop,
    stop_token_ids: [...request.stopTokenIds],
    // Left out where it is vLLM's own default.
    ...(request.maxTokens[index] === TEXT_TOKENS ? {} : { max_tokens: request.maxTokens[index] }),
    // Only the end of an answer, or what is new of it.
    output_kind: request.stream ? 1 : 2,
    skip_clone: true,
    ...(transfer === undefined ? {} : { extra_args: { kv_transfer_params: transfer } }),
    ...{ bad_words: [], skip_reading_prefix_cache: false },
  };
}
