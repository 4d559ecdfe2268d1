import { argNumber, argValue } from '../engine-args.ts';
import type { WorkerSettings } from '../worker.ts';

/** What follows from a worker's settings, for the parts of the SGLang adapter. */

const DEFAULT_PAGE_SIZE = 64;

export const TENSOR_FLAGS = ['tp-size', 'tensor-parallel-size', 'tp'];
export const PIPELINE_FLAGS = ['pp-size', 'pipeline-parallel-size', 'pp'];
const DATA_FLAGS = ['dp-size', 'data-parallel-size', 'dp'];

export const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';
export const onCpu = (worker: WorkerSettings): boolean => worker.gpus === 0;

/** Tokens in a page, SGLang's KV block. */
export const pageSize = ({ args }: WorkerSettings): number => argNumber(args, 'page-size', DEFAULT_PAGE_SIZE);

export const tensorRanks = ({ args }: WorkerSettings): number => argNumber(args, TENSOR_FLAGS, 1);
export const pipelineRanks = ({ args }: WorkerSettings): number => argNumber(args, PIPELINE_FLAGS, 1);
export const dataRanks = ({ args }: WorkerSettings): number => argNumber(args, DATA_FLAGS, 1);
export const hasDpAttention = ({ args }: WorkerSettings): boolean => argValue(args, 'enable-dp-attention') === true;

/** Of prefix caches it publishes; a decode worker has none unless it is told to. */
export const keepsPrefixes = ({ role, args }: WorkerSettings): boolean =>
  role !== 'decode' || argValue(args, 'disaggregation-decode-enable-radix-cache') === true;

/** GPUs: with DP attention the data-parallel ranks divide the tensor-parallel ones, without it they multiply them. */
export function parallelSize(worker: WorkerSettings): number {
  const ranks = tensorRanks(worker) * pipelineRanks(worker);
  return hasDpAttention(worker) ? ranks : ranks * dataRanks(worker);
}
