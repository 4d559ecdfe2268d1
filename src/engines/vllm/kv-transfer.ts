import { editObject, findMember, objectMembers } from '../../openai/json-members.ts';

/**
 * vLLM's hand-over of KV cache between two workers (NixlConnector, pull mode), as edits on request bytes:
 * leg 1 asks the prefill worker for one token and gets `kv_transfer_params`; leg 2 sends the client's request with these to
 * the decode worker, which fetches the blocks. The parameters are opaque: spliced, never parsed. They serve once:
 * a second use answers 200 with the KV cache of whatever lies in those blocks by then.
 */

/** How long a prefill worker keeps the blocks of a finished leg 1 unless it is configured otherwise. */
export const DEFAULT_KV_LEASE_MS = 30_000;

/** Counts KV transfers that a decode worker could not complete. */
export const FAILED_TRANSFERS = 'vllm:nixl_num_failed_transfers_total';

/** Count, on a prefill worker, kept KV blocks that were given up unread, and readers that were done only after that. */
export const LEASE_OVERRUNS = [
  'vllm:nixl_num_kv_expired_reqs_total',
  'vllm:nixl_num_notifications_after_expiry_total',
] as const;

const LEG_1_PARAMS =
  '{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"remote_block_ids":null,"remote_host":null,"remote_port":null}';

const KV_PARAMS = 'kv_transfer_params';

/** What leg 1 must not inherit from the client. */
const NOT_IN_LEG_1 = new Set([
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'min_tokens',
  'min_completion_tokens',
  KV_PARAMS,
]);

/**
 * Why a request cannot be split into two legs, or undefined when it can. Such a request is served whole by one worker.
 * Several choices leak KV blocks on the prefill worker (vllm-project/vllm#43509), a list of prompts has one set of
 * parameters per prompt, and log probabilities of the prompt exist only where the prompt was computed.
 */
export function splitObstacle(request: Readonly<Record<string, unknown>>): string | undefined {
  if (isAboveOne(request['n'])) return 'n';
  if (isAboveOne(request['best_of'])) return 'best_of';
  if (isSet(request['use_beam_search'])) return 'use_beam_search';
  const prompt = request['prompt'];
  if (Array.isArray(prompt) && typeof prompt[0] !== 'number') return 'prompt_list';
  if (isSet(request['prompt_logprobs'])) return 'prompt_logprobs';
  if (isSet(request['echo']) && isSet(request['logprobs'])) return 'echo_logprobs';
  if (request['max_tokens'] === 0 || request['max_completion_tokens'] === 0) return 'max_tokens';
  return undefined;
}

/** Body of leg 1: one token, not streamed, KV blocks kept for a remote worker. `body` must be a valid JSON object. */
export function prefillLegBody(body: Buffer): Buffer {
  const members = objectMembers(body) ?? [];
  const add: [string, string][] = [
    ['stream', 'false'],
    ['max_tokens', '1'],
  ];
  if (findMember(members, 'max_completion_tokens')) add.push(['max_completion_tokens', '1']);
  add.push([KV_PARAMS, LEG_1_PARAMS]);
  const edited = editObject(body, NOT_IN_LEG_1, add);
  if (edited === undefined) throw new TypeError('the request body is not a JSON object');
  return edited;
}

/** The bytes of the top-level `kv_transfer_params` of leg 1's response; undefined when absent or null. */
export function kvTransferParamsOf(responseBody: Buffer): Buffer | undefined {
  const members = objectMembers(responseBody);
  const params = members && findMember(members, KV_PARAMS);
  if (params === undefined || responseBody[params.valueStart] !== 0x7b) return undefined;
  return responseBody.subarray(params.valueStart, params.valueEnd);
}

/** Body of leg 2: the client's bytes with `params` added. */
export function decodeLegBody(body: Buffer, params: Buffer): Buffer {
  const edited = editObject(body, new Set([KV_PARAMS]), [[KV_PARAMS, params]]);
  if (edited === undefined) throw new TypeError('the request body is not a JSON object');
  return edited;
}

/**
 * Whether leg 2 may still be sent `elapsedMs` after leg 1 answered: a third of the lease must be left, because blocks
 * fetched after its end may already belong to another prompt.
 */
export function leaseAllowsDecode(elapsedMs: number, leaseMs: number): boolean {
  return elapsedMs <= (leaseMs * 2) / 3;
}

/** The engine also takes a number written as a string. */
function isAboveOne(value: unknown): boolean {
  return isSet(value) && !(Number(value) <= 1);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}
