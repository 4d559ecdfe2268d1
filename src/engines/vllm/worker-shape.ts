import { argNumber, argValue } from '../engine-args.ts';
import type { WorkerSettings } from '../worker.ts';

/** What follows from a worker's settings, for the parts of the vLLM adapter. */

/** Block sizes vLLM takes when `block-size` is not given. */
const BLOCK_SIZE_GPU = 16;
const BLOCK_SIZE_CPU = 128;

/** How much of a GPU a worker may take, and the other name that it has since 0.32. */
export const MEMORY_SHARE = ['gpu-memory-utilization', 'device-memory-utilization'];

/** It hands KV cache over or receives it. */
export const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';

export const onCpu = (worker: WorkerSettings): boolean => worker.gpus === 0;

export const tensorRanks = ({ args }: WorkerSettings): number => argNumber(args, 'tensor-parallel-size', 1);

/** Each data-parallel rank is an engine of its own: it has its own side channel and publishes its own KV events. */
export const dataRanks = ({ args }: WorkerSettings): number => argNumber(args, 'data-parallel-size', 1);

/** Tensor × pipeline × context × data parallel ranks: each has a GPU of its own. Decode-context ranks are the tensor ones. */
export function parallelSize(worker: WorkerSettings): number {
  const { args } = worker;
  const [pipeline, context] = [
    argNumber(args, 'pipeline-parallel-size', 1),
    argNumber(args, 'prefill-context-parallel-size', 1),
  ];
  return tensorRanks(worker) * pipeline * context * dataRanks(worker);
}

/** Tokens in a KV block. */
export function blockSize(worker: WorkerSettings): number {
  return argNumber(worker.args, 'block-size', onCpu(worker) ? BLOCK_SIZE_CPU : BLOCK_SIZE_GPU);
}

/** On unless the recipe switches it off, in either spelling. */
export function cachesPrefixes({ args }: WorkerSettings): boolean {
  return argValue(args, 'enable-prefix-caching') !== false && argValue(args, 'no-enable-prefix-caching') !== true;
}
