/**
 * Which transport UCX moves KV cache with, out of an engine's log.
 *
 * With `UCX_PROTO_INFO=y` UCX prints a table for each kind of operation when it first plans it:
 *
 *   | decode intra-node cfg#1                                           |
 *   | remote memory read by ucp_get*(multi) into host memory from host  |
 *   | 0..inf | zero-copy | cma/memory                                   |
 *
 * NIXL reads (vLLM) or writes (SGLang, TensorRT-LLM) remote memory, so the rows of these tables are the truth for large payloads.
 * The line with the lanes of an endpoint (`UCX_LOG_LEVEL=info`: `cfg#1 rma_am(tcp/lo) am(tcp/lo cma/memory)`) is not: a table of the
 * same endpoint was seen to move everything by `cma` (UCX 1.23).
 */
export interface PayloadPath {
  /** `inter-node`, `intra-node`; `self` is left out, it carries nothing between workers. */
  scope: string;
  operation: 'read' | 'write';
  /** `host`, `cuda`: what kind of memory it starts from or ends in. */
  memory: string;
  /** `zero-copy`, `software emulation`. */
  how: string;
  /** `rc_mlx5/mlx5_0:1`, `cuda_ipc/cuda`, `tcp/eth0`. */
  transports: string[];
}

export type TransportKind = 'rdma' | 'nvlink' | 'shared-memory' | 'tcp' | 'other';

const HEADER = /\|\s+\S.*?\s(self|intra-node|inter-node) cfg#\d+/;
const OPERATION = /remote memory (read|write) by ucp_(?:get|put)\S*\s.*?\b(cuda|host|rocm|ze)\b/;
const LAST_ROW = /\|\s*(?:\d+\.\.)?inf\s*\|\s*([^|]+?)\s*\|\s*([^|]+?)\s*(?:\||$)/;
const TRANSPORT = /\b([a-z][a-z0-9_]*)\/([A-Za-z0-9_.:-]+)/g;

/** Paths of large payloads in a log, each once, the newest last. */
export function payloadPaths(log: string): PayloadPath[] {
  const paths = new Map<string, PayloadPath>();
  let scope: string | undefined;
  let operation: Pick<PayloadPath, 'operation' | 'memory'> | undefined;
  for (const line of log.split('\n')) {
    const header = HEADER.exec(line);
    if (header) {
      scope = header[1];
      operation = undefined;
    }
    const found = OPERATION.exec(line);
    if (found) operation = { operation: found[1] as 'read' | 'write', memory: found[2]! };
    else if (/active message by|tagged message|stream send/.test(line)) operation = undefined;
    const row = LAST_ROW.exec(line);
    if (!row || !scope || !operation || scope === 'self') continue;
    const transports = [...row[2]!.matchAll(TRANSPORT)].map(([, name, device]) => `${name}/${device}`);
    if (transports.length === 0) continue;
    const path = { scope, ...operation, how: row[1]!, transports: [...new Set(transports)] };
    const key = JSON.stringify(path);
    paths.delete(key);
    paths.set(key, path);
  }
  return [...paths.values()];
}

/** What kind of link a UCX transport is. */
export function kindOf(transport: string): TransportKind {
  const name = transport.split('/')[0]!;
  if (/^(rc|dc|ud|gga|srd)(_|$)/.test(name)) return 'rdma';
  if (/^(cuda_ipc|rocm_ipc)$/.test(name)) return 'nvlink';
  if (/^(sysv|posix|cma|knem|xpmem|self|mm|sm)$/.test(name)) return 'shared-memory';
  return name === 'tcp' ? 'tcp' : 'other';
}
