import type { Instance } from '../discovery/discovery.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { fetchText } from '../supervise/probes.ts';
import { parsePrometheusText, type Sample } from '../telemetry/prometheus-text.ts';

type Facts = Pick<
  Instance,
  'processStart' | 'kvBlockSize' | 'kvTotalBlocks' | 'maxModelLen' | 'maxNumSeqs' | 'maxNumBatchedTokens'
>;

const TIMEOUT_MS = 3_000;

/** What a ready process says of itself: start time and KV cache from `/metrics`, context length from `/v1/models`. Unknown is null. */
export async function readInstanceFacts(spec: ProcessSpec, signal: AbortSignal): Promise<Facts> {
  const [samples, maxModelLen] = await Promise.all([readMetrics(spec, signal), readMaxModelLen(spec, signal)]);
  const cache = kvCacheSize(spec, samples);
  return {
    processStart: samples.find((sample) => sample.name === 'process_start_time_seconds')?.value ?? null,
    kvBlockSize: positive(cache.blockSize) ?? spec.kvBlockSize,
    kvTotalBlocks: positive(cache.blocks),
    maxModelLen,
    maxNumSeqs: flagValue(spec.argv, '--max-num-seqs'),
    maxNumBatchedTokens: flagValue(spec.argv, '--max-num-batched-tokens'),
  };
}

/** As the engine states it: by labels of one metric, or by two metrics. */
function kvCacheSize(
  spec: ProcessSpec,
  samples: readonly Sample[],
): { blockSize?: string | number | undefined; blocks?: string | number | undefined } {
  const names = isEngineName(spec.engine) ? findEngine(spec.engine).metrics.kvCacheSize : null;
  if (names === null) return {};
  const find = (name: string) => samples.find((sample) => sample.name === name);
  if (!('metric' in names)) return { blockSize: find(names.blockSize)?.value, blocks: find(names.blocks)?.value };
  const labels = find(names.metric)?.labels ?? {};
  return { blockSize: labels[names.blockSizeLabel], blocks: labels[names.blocksLabel] };
}

async function readMetrics(spec: ProcessSpec, signal: AbortSignal): Promise<Sample[]> {
  try {
    const path = (isEngineName(spec.engine) ? findEngine(spec.engine).metrics.path : null) ?? '/metrics';
    const { status, body } = await fetchText(`${spec.url}${path}`, { timeoutMs: TIMEOUT_MS, signal });
    return status === 200 ? parsePrometheusText(body.toString()) : [];
  } catch {
    return [];
  }
}

async function readMaxModelLen(spec: ProcessSpec, signal: AbortSignal): Promise<number | null> {
  if (spec.model === null) return null;
  try {
    const { body } = await fetchText(`${spec.url}/v1/models`, { timeoutMs: TIMEOUT_MS, signal });
    const { data } = JSON.parse(body.toString()) as { data?: { id: string; max_model_len?: number }[] };
    return data?.find((entry) => entry.id === spec.model)?.max_model_len ?? null;
  } catch {
    return null;
  }
}

function positive(text: string | number | undefined): number | null {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : null;
}

/** Engines do not report these two over HTTP; the launch does. */
function flagValue(argv: readonly string[], flag: string): number | null {
  const at = argv.indexOf(flag);
  return at < 0 ? null : positive(argv[at + 1]);
}
