/** The object with which vLLM's NixlConnector (pull mode) hands a finished prefill from one worker to another. */
export interface KvTransferParams {
  do_remote_prefill: boolean;
  do_remote_decode: boolean;
  /** Block ids on the prefill worker, by KV cache group. */
  remote_block_ids: number[][];
  /** Random at each start of the prefill worker. */
  remote_engine_id: string;
  remote_request_id: string;
  /** Side channel of the prefill worker. */
  remote_host: string;
  remote_port: number;
  tp_size: number;
  dcp_size: number;
  pp_size: number;
  /** Tokens that were prefilled. */
  remote_num_tokens: number;
  remote_blocks_expiry_time: number | null;
  transfer_mode: 'pull';
  remote_prefill_cached_tokens: number;
}

/** Where to fetch the KV cache of a prompt. */
export interface RemotePrefill {
  engineId: string;
  requestId: string;
  host: string;
  port: number;
  blockIds: number[][];
}

export type KvDirection =
  | { kind: 'none' }
  /** Leg 1: compute, keep the blocks, answer with parameters. */
  | { kind: 'produce' }
  /** Leg 2. */
  | { kind: 'consume'; remote: RemotePrefill }
  /** Leg 2 with keys missing or of the wrong type: vLLM warns and computes the prompt itself. */
  | { kind: 'invalid' };

/** Reads the parameters in a request's body. */
export function readKvTransferParams(body: unknown): KvDirection {
  const params = isObject(body) ? body['kv_transfer_params'] : undefined;
  if (!isObject(params)) return { kind: 'none' };
  if (params['do_remote_decode'] === true) return { kind: 'produce' };
  if (params['do_remote_prefill'] !== true) return { kind: 'none' };
  const {
    remote_engine_id: engineId,
    remote_request_id: requestId,
    remote_host: host,
    remote_port: port,
    remote_block_ids: blockIds,
  } = params;
  const valid =
    typeof engineId === 'string' &&
    typeof requestId === 'string' &&
    typeof host === 'string' &&
    typeof port === 'number' &&
    Number.isInteger(port) &&
    port > 0 &&
    port < 65_536 &&
    isBlockIds(blockIds);
  return valid ? { kind: 'consume', remote: { engineId, requestId, host, port, blockIds } } : { kind: 'invalid' };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBlockIds(value: unknown): value is number[][] {
  return (
    Array.isArray(value) &&
    value.every((group) => Array.isArray(group) && group.every((block) => Number.isInteger(block) && block >= 0))
  );
}
