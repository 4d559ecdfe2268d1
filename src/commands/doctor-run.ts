import { readFileSync, statSync } from 'node:fs';
import { DynamoError } from '../base/errors.ts';
import { theOnlyDeployment } from '../deployment/local-view.ts';
import { checkKvPath, type KvPathReport, type KvPathTarget } from '../doctor/check-kv-path.ts';
import { checkTokens } from '../doctor/check-tokens.ts';
import { judgeMachine } from '../doctor/judge-machine.ts';
import { type PairByUrl, pairByUrl, pairsOfDeployment } from '../doctor/kv-path-targets.ts';
import { readMachine } from '../doctor/read-machine.ts';
import { renderFindings, renderKvPath, renderTokens } from './doctor-text.ts';

export interface KvPathFlags {
  prefill?: string;
  decode?: string;
  engine?: 'vllm' | 'sglang' | 'trtllm';
  model?: string;
  bootstrapPort?: number;
  blockSize?: number;
  promptWords?: number;
  repeat: number;
  json?: boolean;
}

/** UCX prints what it chose early in a log. */
const LOG_LIMIT_BYTES = 64 * 1024 ** 2;

/** `dynamo doctor`: throws `CHECK_FAILED` when something cannot work. */
export async function examineMachine(flags: { json?: boolean }): Promise<void> {
  const { signal } = new AbortController();
  const findings = judgeMachine(await readMachine(process.env, signal));
  print(flags, { findings }, () => renderFindings(findings));
  const problems = findings.filter(({ status }) => status === 'problem');
  if (problems.length > 0)
    throw failed(
      `${problems.length} of ${findings.length} findings are problems: ${problems.map(({ subject }) => subject).join(', ')}`,
    );
}

/** `dynamo doctor kv-path`: throws `CHECK_FAILED` when a pair does not hand over. */
export async function examineKvPath(name: string | undefined, flags: KvPathFlags): Promise<void> {
  const { signal } = new AbortController();
  const [targets, machine] = await Promise.all([targetsOf(name, flags, signal), readMachine(process.env, signal)]);
  const rdma = machine.facts.rdma ?? [];
  const reports: KvPathReport[] = [];
  for (const target of targets) {
    const report = await checkKvPath(target, { repeat: flags.repeat, rdma, readLog, signal });
    reports.push(report);
    if (!flags.json) process.stdout.write(renderKvPath(report));
  }
  if (flags.json) print(flags, { pairs: reports }, () => '');
  const broken = reports.filter((report) => !report.ok);
  if (broken.length > 0) throw failed(`${broken.length} of ${reports.length} pairs do not hand KV cache over`);
}

/** `dynamo doctor tokens`: throws `CHECK_FAILED` when two sides make different tokens of a prompt. */
export async function examineTokens(name: string | undefined, flags: { json?: boolean }): Promise<void> {
  const { signal } = new AbortController();
  const report = await checkTokens(name ?? theOnlyDeployment(), signal);
  print(flags, report, () => renderTokens(report));
  const wrong = report.cases.filter(({ agree }) => agree === false);
  if (wrong.length > 0) throw failed(`${wrong.length} of ${report.cases.length} prompts become different tokens`);
}

async function targetsOf(name: string | undefined, flags: KvPathFlags, signal: AbortSignal): Promise<KvPathTarget[]> {
  const { prefill, decode, engine, model, promptWords } = flags;
  const areUrls = [prefill, decode].some((worker) => worker?.includes('://'));
  if (!areUrls) return pairsOfDeployment(name ?? theOnlyDeployment(), { prefill, decode, promptWords });
  if (prefill === undefined || decode === undefined || engine === undefined || model === undefined)
    throw new DynamoError('USAGE', 'a pair by URL needs --prefill, --decode, --engine and --model');
  const { bootstrapPort, blockSize } = flags;
  const given: PairByUrl = { prefill, decode, engine, model, bootstrapPort, blockSize, promptWords };
  return [await pairByUrl(given, signal)];
}

function readLog(file: string): string | undefined {
  try {
    return statSync(file).size > LOG_LIMIT_BYTES ? undefined : readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function print(flags: { json?: boolean }, value: object, text: () => string): void {
  process.stdout.write(flags.json ? `${JSON.stringify(value, null, 2)}\n` : text());
}

const failed = (message: string): DynamoError => new DynamoError('CHECK_FAILED', message);
