import type { CompletionRequest } from '../openai/completion-request.ts';
import { editObject } from '../openai/json-members.ts';

/** vLLM's, of KV caches and of what encoders computed of images. */
const TRANSFER_PARAMS = ['kv_transfer_params', 'ec_transfer_params'];

/** Body members by which a caller could reach into another request's KV cache or choose workers. */
const UNTRUSTED = [
  ...TRANSFER_PARAMS,
  'disaggregated_params',
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  'rid',
  'data_parallel_rank',
  'routed_dp_rank',
  'disagg_prefill_dp_rank',
  'nvext',
];

/** The client's body without members that only a trusted caller may send. The same bytes when there are none. */
export function withoutUntrustedFields(request: CompletionRequest, body: Buffer): Buffer {
  const found = UNTRUSTED.filter((key) => Object.hasOwn(request.fields, key));
  // vLLM copies these into the same place as its transfer parameters.
  const extra = request.fields['vllm_xargs'];
  if (typeof extra === 'object' && extra !== null && TRANSFER_PARAMS.some((key) => key in extra))
    found.push('vllm_xargs');
  if (found.length === 0) return body;
  return editObject(body, new Set(found), []) ?? body;
}
