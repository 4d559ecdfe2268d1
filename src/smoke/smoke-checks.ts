import { until } from '../base/until.ts';
import type { DeploymentSnapshot, PairSnapshot } from '../deployment/snapshot.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import { atLiveAddress } from '../plan/live-address.ts';
import { endOf, pairToProve } from '../supervise/pair-proof/pair-end.ts';
import { provePair } from '../supervise/pair-proof/prove-pair.ts';
import { fetchText } from '../supervise/probes.ts';
import { parsePrometheusText, type Sample, sumOf } from '../telemetry/prometheus-text.ts';

/** What a check gets to work with. Throwing fails the check. */
export interface SmokeContext {
  plan: LaunchPlan;
  snapshot: DeploymentSnapshot;
  signal: AbortSignal;
}

export interface SmokeCheck {
  name: string;
  run(context: SmokeContext): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 120_000;
const SETTLE_MS = 15_000;

/** Everything smoke looks at, in order. One check a model and pair, so that a report names what fails. */
export function smokeChecks(plan: LaunchPlan, pairs: readonly PairSnapshot[]): SmokeCheck[] {
  return [
    { name: 'every process is ready', run: everyProcessReady },
    ...plan.models.flatMap((model) => [
      { name: `${model} is listed`, run: (context: SmokeContext) => modelListed(context, model) },
      { name: `${model} answers`, run: (context: SmokeContext) => modelAnswers(context, model) },
      {
        name: `${model}: streamed equals not streamed`,
        run: (context: SmokeContext) => streamedEqualsWhole(context, model),
      },
    ]),
    ...pairs.map((pair) => ({
      name: `${pair.prefill} → ${pair.decode} transfers KV blocks`,
      run: (context: SmokeContext) => pairTransfers(context, pair),
    })),
    ...plan.models.map((model) => ({
      name: `${model}: a cancelled request frees its worker`,
      run: (context: SmokeContext) => cancelFreesWorker(context, model),
    })),
    { name: 'metrics add up', run: metricsAddUp },
  ];
}

async function everyProcessReady({ snapshot }: SmokeContext): Promise<void> {
  const late = snapshot.processes.filter((process) => process.state !== 'ready');
  assert(late.length === 0, `not ready: ${late.map((process) => `${process.name} (${process.state})`).join(', ')}`);
}

async function modelListed({ plan, signal }: SmokeContext, model: string): Promise<void> {
  const { status, body } = await fetchText(`${plan.endpoint}/v1/models`, { timeoutMs: REQUEST_TIMEOUT_MS, signal });
  assert(status === 200, `GET /v1/models answers ${status}`);
  const ids = (JSON.parse(body.toString()) as { data: { id: string }[] }).data.map((entry) => entry.id);
  assert(ids.includes(model), `/v1/models lists ${ids.join(', ') || 'nothing'}`);
}

async function modelAnswers(context: SmokeContext, model: string): Promise<void> {
  const answer = await complete(context, model, 'Say something.', 8);
  assert(answer.tokens > 0, 'the answer has no token');
  assert(answer.text.length > 0, 'the answer has no text');
}

async function streamedEqualsWhole(context: SmokeContext, model: string): Promise<void> {
  const prompt = 'Count from one to ten, slowly.';
  const whole = await complete(context, model, prompt, 24);
  const { status, body } = await post(context, { ...chat(model, prompt, 24), stream: true });
  assert(status === 200, `the streamed request answers ${status}: ${body.slice(0, 200)}`);
  const events = body.split('\n').filter((line) => line.startsWith('data: '));
  assert(events.at(-1) === 'data: [DONE]', `the stream ends with ${events.at(-1) ?? 'nothing'}`);
  const streamed = events
    .slice(0, -1)
    .map((line) => chunkText(line.slice(6)))
    .join('');
  assert(
    streamed === whole.text,
    `streamed ${JSON.stringify(streamed.slice(0, 80))}, whole ${JSON.stringify(whole.text.slice(0, 80))}`,
  );
}

function chunkText(json: string): string {
  const chunk = JSON.parse(json) as {
    choices?: { delta?: { content?: string | null } }[];
    error?: { message?: string };
  };
  assert(chunk.error === undefined, `the stream carries an error: ${chunk.error?.message}`);
  return chunk.choices?.[0]?.delta?.content ?? '';
}

/** Where they are now. */
const processesOf = ({ plan, snapshot }: SmokeContext): ProcessSpec[] =>
  plan.processes.map((spec) => atLiveAddress(spec, snapshot.processes));

async function pairTransfers(context: SmokeContext, pair: PairSnapshot): Promise<void> {
  const find = (name: string) => processesOf(context).find((process) => process.name === name)!;
  const [prefill, decode] = [find(pair.prefill), find(pair.decode)];
  await provePair(pairToProve(endOf(prefill), endOf(decode)), context.signal);
}

/** A long stream is cut after its first bytes: no worker may go on working for nobody. */
async function cancelFreesWorker(context: SmokeContext, model: string): Promise<void> {
  const { request } = await import('undici');
  const cancel = new AbortController();
  const response = await request(`${context.plan.endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...chat(model, 'Tell a very long story.', 4_000), ignore_eos: true, stream: true }),
    signal: AbortSignal.any([cancel.signal, context.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  });
  assert(response.statusCode === 200, `the request answers ${response.statusCode}`);
  for await (const _ of response.body) break; // leaving the loop closes the connection
  cancel.abort();
  const idle = await until(async () => ((await busyWorkers(context, model)).length === 0 ? true : undefined), {
    deadlineMs: SETTLE_MS,
    signal: context.signal,
  });
  assert(idle, `still busy after the client has gone: ${(await busyWorkers(context, model)).join(', ')}`);
}

/** Workers that still do something. One whose engine does not say counts as idle. */
async function busyWorkers(context: SmokeContext, model: string): Promise<string[]> {
  const { signal } = context;
  const workers = processesOf(context).filter((process) => process.model === model);
  const loads = await Promise.all(
    workers.map(async (worker) => {
      const { requestsRunning, requestsWaiting } = metricNames(worker);
      const samples = await metricsOf(worker, signal);
      return (countOf(samples, requestsRunning) ?? 0) + (countOf(samples, requestsWaiting) ?? 0);
    }),
  );
  return workers.filter((_, index) => loads[index]! > 0).map((worker) => worker.name);
}

/** What the frontends count must be what clients sent and what the workers did, as far as their engines count it. */
async function metricsAddUp(context: SmokeContext): Promise<void> {
  const before = await totals(context);
  const answers = [];
  for (const model of context.plan.models) {
    for (let index = 0; index < 5; index += 1)
      answers.push(await complete(context, model, `Question ${index}?`, 6 + index));
  }
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  let after = before;
  const grewBy = (key: keyof Totals) => {
    const [then, now] = [before[key], after[key]];
    return then === null || now === null ? null : now - then;
  };
  const fits = (key: keyof Totals, expected: number) => (grewBy(key) ?? expected) === expected;
  const agree = await until(
    async () => {
      after = await totals(context);
      return fits('requests', answers.length) && fits('finished', answers.length) && fits('generated', tokens)
        ? true
        : undefined;
    },
    { deadlineMs: SETTLE_MS, signal: context.signal },
  );
  const say = (key: keyof Totals) => grewBy(key) ?? 'an unknown number of';
  assert(
    agree,
    `sent ${answers.length} requests for ${tokens} tokens; frontends count ${say('requests')} requests, ` +
      `generating workers ${say('finished')} requests and ${say('generated')} tokens`,
  );
}

/** Null: an engine among them does not count it. */
interface Totals {
  requests: number | null;
  finished: number | null;
  generated: number | null;
}

async function totals(context: SmokeContext): Promise<Totals> {
  const { signal } = context;
  const chosen = (roles: readonly string[]) => processesOf(context).filter((process) => roles.includes(process.role));
  const scrape = (processes: readonly ProcessSpec[]) =>
    Promise.all(processes.map(async (spec) => ({ spec, samples: await metricsOf(spec, signal) })));
  const frontends = await scrape(chosen(['frontend']));
  const workers = await scrape(chosen(['decode', 'aggregated']));
  const ofWorkers = (metric: 'requestsFinished' | 'generatedTokens') =>
    sum(workers.map(({ spec, samples }) => countOf(samples, metricNames(spec)[metric])));
  return {
    requests: sum(frontends.map(({ samples }) => countOf(samples, 'dynamo_frontend_requests_total'))),
    finished: ofWorkers('requestsFinished'),
    generated: ofWorkers('generatedTokens'),
  };
}

const sum = (counts: readonly (number | null)[]): number | null =>
  counts.reduce((total, count) => (total === null || count === null ? null : total + count), 0);

/** A counter that has not been counted yet is not listed. */
const countOf = (samples: readonly Sample[], name: string | null): number | null =>
  name === null ? null : (sumOf(samples, name) ?? 0);

const metricNames = ({ engine }: ProcessSpec) => findEngine(isEngineName(engine) ? engine : 'openai').metrics;

async function metricsOf(process: ProcessSpec, signal: AbortSignal): Promise<Sample[]> {
  const path = process.role === 'frontend' ? '/metrics' : metricNames(process).path;
  if (path === null) return [];
  const { status, body } = await fetchText(`${process.url}${path}`, { timeoutMs: REQUEST_TIMEOUT_MS, signal });
  assert(status === 200, `GET ${process.url}${path} answers ${status}`);
  return parsePrometheusText(body.toString());
}

async function complete(
  context: SmokeContext,
  model: string,
  prompt: string,
  maxTokens: number,
): Promise<{ text: string; tokens: number }> {
  const { status, body } = await post(context, chat(model, prompt, maxTokens));
  assert(status === 200, `a completion answers ${status}: ${body.slice(0, 200)}`);
  const parsed = JSON.parse(body) as {
    choices: { message: { content: string | null } }[];
    usage: { completion_tokens: number };
  };
  return { text: parsed.choices[0]?.message.content ?? '', tokens: parsed.usage.completion_tokens };
}

const chat = (model: string, prompt: string, maxTokens: number) => ({
  model,
  messages: [{ role: 'user', content: prompt }],
  max_tokens: maxTokens,
  temperature: 0,
  seed: 0,
});

async function post({ plan, signal }: SmokeContext, body: unknown): Promise<{ status: number; body: string }> {
  const answer = await fetchText(`${plan.endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    timeoutMs: REQUEST_TIMEOUT_MS,
    signal,
  });
  return { status: answer.status, body: answer.body.toString() };
}

function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
