import { findMember, objectMembers } from '../../openai/json-members.ts';
import { editLeg } from '../../openai/leg-fields.ts';
import type { TwoLegDialect } from '../kv-transfer-dialect.ts';
import { VLLM_FIELDS } from './kv-transfer-fields.ts';

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

export const VLLM_NIXL: TwoLegDialect = {
  name: 'vllm-nixl',
  fields: VLLM_FIELDS,
  decodeServesWhole: true,
  hasLease: true,
  prefillBody: (body) => prefillLegBody(body),
  readPrefill(answer) {
    const params = kvTransferParamsOf(answer);
    return params === undefined ? { kind: 'nothing' } : { kind: 'handed-over', members: [[KV_PARAMS, params]] };
  },
  decodeBody: (body, handOver) => editLeg(VLLM_FIELDS, 'decode', body, handOver),
};

/** Body of leg 1: one token, not streamed, KV blocks kept for a remote worker. `body` must be a valid JSON object. */
export function prefillLegBody(body: Buffer): Buffer {
  return editLeg(VLLM_FIELDS, 'prefill', body, [[KV_PARAMS, LEG_1_PARAMS]]);
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
  return editLeg(VLLM_FIELDS, 'decode', body, [[KV_PARAMS, params]]);
}

/**
 * Whether leg 2 may still be sent `elapsedMs` after leg 1 answered: a third of the lease must be left, because blocks
 * fetched after its end may already belong to another prompt.
 */
export function leaseAllowsDecode(elapsedMs: number, leaseMs: number): boolean {
  return elapsedMs <= (leaseMs * 2) / 3;
}
