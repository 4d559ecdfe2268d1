import type { Instance, KvTransferDialect } from '../../discovery/discovery.ts';
import type { ProcessSpec } from '../../plan/launch-plan.ts';
import type { ProvePair } from '../protocol.ts';

/** One side of a pair, as a plan or a discovery record has it. */
export type PairEnd = Pick<Instance, 'name' | 'url' | 'model' | 'kvTransfer' | 'kvBlockSize' | 'bootstrap'>;

/** Where an engine does not know its block size before it runs. */
const DEFAULT_BLOCK_SIZE = 64;
const DEFAULT_DIALECT: KvTransferDialect = 'vllm-nixl';

export function endOf(spec: ProcessSpec): PairEnd {
  const { name, url, model, kvTransfer, kvBlockSize } = spec;
  return { name, url, model, kvTransfer, kvBlockSize, bootstrap: bootstrapOf(spec) };
}

/** Where a prefill worker's peers meet it, if it has a server for that. */
export function bootstrapOf({ ports, url }: Pick<ProcessSpec, 'ports' | 'url'>): { host: string; port: number } | null {
  const port = ports['bootstrap'];
  return port === undefined ? null : { host: new URL(url).hostname.replace(/^\[|\]$/g, ''), port };
}

/** Everything a proof needs to know of two workers. */
export function pairToProve(prefill: PairEnd, decode: PairEnd): ProvePair {
  return {
    prefill: prefill.name,
    decode: decode.name,
    prefillUrl: prefill.url,
    decodeUrl: decode.url,
    model: decode.model ?? '',
    blockSize: Math.max(prefill.kvBlockSize ?? DEFAULT_BLOCK_SIZE, decode.kvBlockSize ?? DEFAULT_BLOCK_SIZE),
    dialect: decode.kvTransfer ?? prefill.kvTransfer ?? DEFAULT_DIALECT,
    bootstrap: prefill.bootstrap ?? null,
  };
}
