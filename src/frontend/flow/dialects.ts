import type { KvTransferDialect } from '../../discovery/discovery.ts';
import type { RacedDialect, TwoLegDialect } from '../../engines/kv-transfer-dialect.ts';
import { SGLANG_BOOTSTRAP } from '../../engines/sglang/kv-transfer.ts';
import { TRTLLM_CONTEXT_FIRST } from '../../engines/trtllm/kv-transfer.ts';
import { VLLM_NIXL } from '../../engines/vllm/kv-transfer.ts';

/** How requests are split, by what the workers of a model speak. */
export const DIALECTS = {
  'vllm-nixl': VLLM_NIXL,
  'sglang-bootstrap': SGLANG_BOOTSTRAP,
  'trtllm-context-first': TRTLLM_CONTEXT_FIRST,
} as const satisfies Record<KvTransferDialect, TwoLegDialect | RacedDialect>;
