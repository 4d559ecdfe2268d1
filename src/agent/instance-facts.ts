import type { Instance } from '../discovery/discovery.ts';
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
  const cache = samples.find((sample) => sample.name === 'vllm:cache_config_info')?.labels ?? {};
  return {
    processStart: samples.find((sample) => sample.name === 'process_start_time_seconds')?.value ?? null,
    kvBlockSize: positive(cache['block_size']) ?? spec.kvBlockSize,
    kvTotalBlocks: positive(cache['num_gpu_blocks']),
    maxModelLen,
    maxNumSeqs: flagValue(spec.argv, '--max-num-seqs'),
    maxNumBatchedTokens: flagValue(spec.argv, '--max-num-batched-tokens'),
  };
}

async function readMetrics(spec: ProcessSpec, signal: AbortSignal): Promise<Sample[]> {
  try {
    const { status, body } = await fetchText(`${spec.url}/metrics`, { timeoutMs: TIMEOUT_MS, signal });
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

function positive(text: string | undefined): number | null {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : null;
}

/** Engines do not report these two over HTTP; the launch does. */
function flagValue(argv: readonly string[], flag: string): number | null {
  const at = argv.indexOf(flag);
  return at < 0 ? null : positive(argv[at + 1]);
}
