import { argNumber, argValue } from '../engine-args.ts';
import type { ModelUse } from '../model/model-use.ts';
import { isOn, lengthOf, loadsOwnWeights, mapOf, textOf, writtenFlag } from '../model/written-use.ts';
import type { WorkerSettings } from '../worker.ts';
import { tensorRanks } from './worker-shape.ts';

const TENSOR = 'tensor-parallel-size';
const PIPELINE = 'pipeline-parallel-size';

/** Null where the configuration does not come from the model's own folder. */
export function modelUse(worker: WorkerSettings): ModelUse | null {
  const { args } = worker;
  if (argValue(args, 'hf-config-path') !== undefined || argValue(args, 'config-format') === 'mistral') return null;
  return {
    // A single GGUF file is a model, too.
    shape: null,
    revision: textOf(args, 'revision'),
    tensor: { ranks: tensorRanks(worker), flag: writtenFlag(args, TENSOR) },
    pipeline: { ranks: argNumber(args, PIPELINE, 1), flag: writtenFlag(args, PIPELINE) },
    maxLength: lengthOf(args, 'max-model-len'),
    longerAllowed: isOn(worker, 'VLLM_ALLOW_LONG_MAX_MODEL_LEN'),
    overrides: mapOf(args, 'hf-overrides'),
    ownTokenizer: argValue(args, 'tokenizer') === undefined && argValue(args, 'skip-tokenizer-init') !== true,
    ownWeights: loadsOwnWeights(worker),
  };
}
