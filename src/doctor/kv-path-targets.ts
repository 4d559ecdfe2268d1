import { DynamoError } from '../base/errors.ts';
import { agentPaths, deploymentDir, processLog } from '../deployment/state-dir.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { endOf, pairToProve } from '../supervise/pair-proof/pair-end.ts';
import { fetchText } from '../supervise/probes.ts';
import type { KvPathTarget } from './check-kv-path.ts';
import { liveProcesses } from './live-processes.ts';

/** Engines that hand KV cache over, and how. */
export const KV_PATH_ENGINES = {
  vllm: 'vllm-nixl',
  sglang: 'sglang-bootstrap',
  trtllm: 'trtllm-context-first',
} as const satisfies Record<string, KvTransferDialect>;

const SGLANG_BOOTSTRAP_PORT = 8_998;
const ASK_TIMEOUT_MS = 10_000;
const LOCAL = 'local';

export interface PairChoice {
  /** Names of processes; undefined takes all. */
  prefill: string | undefined;
  decode: string | undefined;
  promptWords: number | undefined;
}

/** The planned pairs of a deployment that is up. Throws `NO_DEPLOYMENT`, or `USAGE` when there is no such pair. */
export async function pairsOfDeployment(name: string, choice: PairChoice): Promise<KvPathTarget[]> {
  const { record, processes } = await liveProcesses(name);
  if (record.phase !== 'committed')
    throw new DynamoError('NO_DEPLOYMENT', `${name} is ${record.phase}`, {
      hint: 'Its workers must run to be looked at.',
    });
  const dir = deploymentDir(name);
  const chosen = record.plan.pairs.filter(
    ({ prefill, decode }) => (choice.prefill ?? prefill) === prefill && (choice.decode ?? decode) === decode,
  );
  if (chosen.length > 0) return chosen.map((pair) => targetOf(processes, dir, pair, choice.promptWords));
  const known = record.plan.pairs.map(({ prefill, decode }) => `${prefill} → ${decode}`).join(', ');
  throw new DynamoError('USAGE', `${name} has no such pair of prefill and decode workers`, {
    hint: known === '' ? 'All its workers are aggregated: no KV cache moves.' : `It has ${known}.`,
  });
}

function targetOf(
  processes: readonly ProcessSpec[],
  dir: string,
  pair: { prefill: string; decode: string },
  promptWords: number | undefined,
): KvPathTarget {
  const find = (process: string): ProcessSpec => {
    const spec = processes.find((each) => each.name === process);
    if (!spec) throw new Error(`the plan pairs ${process}, which it does not have`);
    return spec;
  };
  const [prefill, decode] = [find(pair.prefill), find(pair.decode)];
  return {
    pair: { ...pairToProve(endOf(prefill), endOf(decode)), ...(promptWords === undefined ? {} : { promptWords }) },
    engine: decode.engine ?? '',
    sameHost: prefill.host === decode.host,
    onGpus: prefill.gpus.length > 0 || decode.gpus.length > 0,
    logs: [prefill, decode].map(({ name, host }) => ({
      process: name,
      file: host === LOCAL ? processLog(agentPaths(dir, host), name) : null,
    })),
  };
}

export interface PairByUrl {
  prefill: string;
  decode: string;
  engine: keyof typeof KV_PATH_ENGINES;
  model: string;
  /** Port of the prefill worker's bootstrap server, SGLang only. */
  bootstrapPort: number | undefined;
  blockSize: number | undefined;
  promptWords: number | undefined;
}

/** A pair that dynamo did not start. SGLang is asked for its bootstrap port where none is given. */
export async function pairByUrl(given: PairByUrl, signal: AbortSignal): Promise<KvPathTarget> {
  const [prefillUrl, decodeUrl] = [originOf(given.prefill), originOf(given.decode)];
  const dialect = KV_PATH_ENGINES[given.engine];
  const host = new URL(prefillUrl).hostname.replace(/^\[|\]$/g, '');
  const port =
    dialect === 'sglang-bootstrap' ? (given.bootstrapPort ?? (await askBootstrapPort(prefillUrl, signal))) : undefined;
  const common = { model: given.model, kvTransfer: dialect, kvBlockSize: given.blockSize ?? null };
  const pair = pairToProve(
    { ...common, name: given.prefill, url: prefillUrl, bootstrap: port === undefined ? null : { host, port } },
    { ...common, name: given.decode, url: decodeUrl },
  );
  return {
    pair: { ...pair, ...(given.promptWords === undefined ? {} : { promptWords: given.promptWords }) },
    engine: given.engine,
    sameHost: new URL(prefillUrl).hostname === new URL(decodeUrl).hostname,
    onGpus: false,
    logs: [],
  };
}

function originOf(text: string): string {
  try {
    return new URL(text).origin;
  } catch {
    throw new DynamoError('USAGE', `\`${text}\` is no URL`, {
      hint: 'Give the worker’s base URL: http://10.0.0.7:8100',
    });
  }
}

/** `GET /server_info` has every server argument. */
async function askBootstrapPort(url: string, signal: AbortSignal): Promise<number> {
  try {
    const { status, body } = await fetchText(`${url}/server_info`, { timeoutMs: ASK_TIMEOUT_MS, signal });
    const info = status === 200 ? (JSON.parse(body.toString('utf8')) as Record<string, unknown>) : {};
    const port = info['disaggregation_bootstrap_port'];
    return typeof port === 'number' ? port : SGLANG_BOOTSTRAP_PORT;
  } catch {
    signal.throwIfAborted();
    return SGLANG_BOOTSTRAP_PORT;
  }
}
