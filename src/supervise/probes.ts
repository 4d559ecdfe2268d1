import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import { buffer } from 'node:stream/consumers';
import { messageOf, systemCode } from '../base/errors.ts';
import type { Check } from '../plan/launch-plan.ts';

/** Result of one check, with what was seen: shown while waiting. */
export interface CheckResult {
  ok: boolean;
  detail: string;
}

export interface CheckTarget {
  url: string;
  ports: Record<string, number>;
}

/** Runs one check against a process. Never rejects: what goes wrong is the result. */
export async function runCheck(
  check: Check,
  target: CheckTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  try {
    switch (check.kind) {
      case 'http':
        return await checkHttp(target, check, timeoutMs, signal);
      case 'model-listed':
        return await checkModel(target, check.model, timeoutMs, signal);
      case 'generate':
        return await checkGenerate(target, check.model, timeoutMs, signal);
      case 'tcp':
        return await checkTcp(target, check.port, timeoutMs, signal);
    }
  } catch (error) {
    return { ok: false, detail: `${describeCheck(check)}: ${explainNetworkError(error)}` };
  }
}

/** `GET /health to answer 200`: what a process is waited for. */
export function describeCheck(check: Check): string {
  switch (check.kind) {
    case 'http':
      return `GET ${check.path} to answer 200${check.port === undefined ? '' : ` on the ${check.port} port`}`;
    case 'model-listed':
      return `/v1/models to list ${check.model}`;
    case 'generate':
      return `a generated token from ${check.model}`;
    case 'tcp':
      return `port ${check.port} to accept a connection`;
  }
}

/** Status and body of one request. Rejects with the network's error or a timeout. */
export async function fetchText(
  url: string,
  options: {
    method?: 'GET' | 'POST';
    body?: string | Buffer;
    headers?: Record<string, string>;
    timeoutMs: number;
    signal: AbortSignal;
  },
): Promise<{ status: number; body: Buffer }> {
  const { method = 'GET', headers = {} } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(Math.ceil(options.timeoutMs))]);
  // Not undici: every agent would load it at every start, and nothing else there needs it.
  const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http');
  try {
    signal.throwIfAborted();
    // A connection of its own: what answered on the last one may be gone.
    const sent = request(url, { method, headers, signal, agent: false });
    sent.on('error', () => {}); // one after the answer has begun is the answer's as well
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    sent.end(options.body);
    const [response] = await answered;
    return { status: response.statusCode ?? 0, body: await buffer(response) };
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

async function checkHttp(
  target: CheckTarget,
  { path, port }: Extract<Check, { kind: 'http' }>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const url = new URL(path, target.url);
  if (port !== undefined) {
    const number = target.ports[port];
    if (number === undefined) return { ok: false, detail: `it has no port called ${port}` };
    url.port = String(number);
  }
  const { status, body } = await fetchText(url.href, { timeoutMs, signal });
  return { ok: status === 200, detail: status === 200 ? '' : `GET ${path} answers ${status} ${excerpt(body)}` };
}

async function checkModel(
  target: CheckTarget,
  model: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { status, body } = await fetchText(`${target.url}/v1/models`, { timeoutMs, signal });
  if (status !== 200) return { ok: false, detail: `/v1/models answers ${status}` };
  const listed = (JSON.parse(body.toString()) as { data?: { id?: string }[] }).data?.map((entry) => entry.id) ?? [];
  return {
    ok: listed.includes(model),
    detail: listed.includes(model) ? '' : `/v1/models lists ${listed.join(', ') || 'nothing'}`,
  };
}

async function checkGenerate(
  target: CheckTarget,
  model: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { status, body } = await fetchText(`${target.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'Are you ready?', max_tokens: 1, temperature: 0 }),
    timeoutMs,
    signal,
  });
  if (status !== 200) return { ok: false, detail: `a completion answers ${status} ${excerpt(body)}` };
  const usage = (JSON.parse(body.toString()) as { usage?: { completion_tokens?: number } }).usage;
  const tokens = usage?.completion_tokens ?? 0;
  return { ok: tokens > 0, detail: tokens > 0 ? '' : 'a completion came back with no token' };
}

async function checkTcp(
  target: CheckTarget,
  name: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const port = target.ports[name];
  if (port === undefined) return { ok: false, detail: `it has no port called ${name}` };
  const socket = net.connect({
    port,
    host: new URL(target.url).hostname,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return { ok: true, detail: '' };
  } finally {
    socket.destroy();
  }
}

function explainNetworkError(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const code = systemCode(error) ?? systemCode((error as { cause?: unknown }).cause);
  return code === 'ECONNREFUSED' ? 'nothing listens yet' : (code ?? messageOf(error));
}

function excerpt(body: Buffer): string {
  return body.toString('utf8', 0, 200).replaceAll(/\s+/g, ' ').trim();
}
