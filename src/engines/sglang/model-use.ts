import { argValue } from '../engine-args.ts';
import type { ModelUse } from '../model/model-use.ts';
import { isOn, lengthOf, loadsOwnWeights, mapOf, textOf, writtenFlag } from '../model/written-use.ts';
import type { WorkerSettings } from '../worker.ts';
import { dataRanks, hasDpAttention, PIPELINE_FLAGS, pipelineRanks, TENSOR_FLAGS, tensorRanks } from './worker-shape.ts';

export function modelUse(worker: WorkerSettings): ModelUse {
  const { args } = worker;
  // With DP attention each data-parallel rank divides the heads among its own share of the ranks.
  const ranks = hasDpAttention(worker) ? Math.max(1, tensorRanks(worker) / dataRanks(worker)) : tensorRanks(worker);
  return {
    shape: null,
    revision: textOf(args, 'revision'),
    tensor: { ranks, flag: writtenFlag(args, ...TENSOR_FLAGS) },
    pipeline: { ranks: pipelineRanks(worker), flag: writtenFlag(args, ...PIPELINE_FLAGS) },
    maxLength: lengthOf(args, 'context-length'),
    longerAllowed: isOn(worker, 'SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN'),
    overrides: mapOf(args, 'json-model-override-args'),
    ownTokenizer: argValue(args, 'tokenizer-path') === undefined,
    ownWeights: loadsOwnWeights(worker),
  };
}
