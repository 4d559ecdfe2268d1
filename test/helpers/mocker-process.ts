import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { selfCommand } from '../../src/base/package-root.ts';
import { parsePrometheusText, sumOf } from '../../src/telemetry/prometheus-text.ts';
import { freePort } from './free-port.ts';
import { waitFor } from './until.ts';

export interface MockerProcess extends AsyncDisposable {
  url: string;
  port: number;
  sidePort: number;
  child: ChildProcess;
  /** Everything it wrote to stderr. */
  log(): string;
  /** Exit status, or the name of the signal that ended it; its log is whole by then. */
  exited: Promise<number | string>;
  /** Sum of a metric over its labels; 0 when it is not there. */
  metric(name: string): Promise<number>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Starts `dynamo mocker` as a process and waits until it answers (`ready: false`: does not wait). */
export async function startMocker(
  args: readonly string[] = [],
  options: { ready?: boolean; port?: number; sidePort?: number; env?: Record<string, string> } = {},
): Promise<MockerProcess> {
  const port = options.port ?? (await freePort());
  const sidePort = options.sidePort ?? (await freePort());
  const [node, cli] = selfCommand();
  const argv = [cli, 'mocker', '--model-name', 'demo', '--http-port', String(port), ...args];
  const child = spawn(node, argv, {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: {
      ...process.env,
      VLLM_NIXL_SIDE_CHANNEL_HOST: '127.0.0.1',
      VLLM_NIXL_SIDE_CHANNEL_PORT: String(sidePort),
      ...options.env,
    },
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  // 'close', not 'exit': only then all it wrote has been read.
  let hasEnded = false;
  const exited = once(child, 'close').then(([code, signal]) => {
    hasEnded = true;
    return (code ?? signal) as number | string;
  });
  const url = `http://127.0.0.1:${port}`;
  const mocker: MockerProcess = {
    url,
    port,
    sidePort,
    child,
    exited,
    log: () => log,
    metric: async (name) => sumOf(parsePrometheusText(await (await fetch(`${url}/metrics`)).text()), name) ?? 0,
    post: (path, body, init) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...init,
      }),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
  if (options.ready === false) return mocker;
  await waitFor('the mocker to answer', () => {
    // One that was ready may have ended by now, as it was told to.
    if (log.includes('Application startup complete.')) return true;
    if (hasEnded) throw new Error('the mocker ended');
    return false;
  }).catch(async (error: Error) => {
    await mocker[Symbol.asyncDispose]();
    throw new Error(`${error.message}; it said:\n${log}`);
  });
  return mocker;
}

/** The JSON of each event of a stream, without the end marker. Fails when the marker is missing. */
export async function readEvents(response: Response): Promise<StreamEvent[]> {
  const text = await response.text();
  const events = text.split('\n\n').filter((event) => event !== '');
  if (events.pop() !== 'data: [DONE]') throw new Error(`no end of stream:\n${text}`);
  return events.map((event) => JSON.parse(event.slice('data: '.length)));
}

/** Fields of a chunk or a body, as far as tests look at them. */
export interface StreamEvent {
  id: string;
  object: string;
  model: string;
  choices: {
    index: number;
    text?: string;
    delta?: { role?: string; content?: string };
    message?: { role: string; content: string };
    finish_reason: string | null;
    stop_reason?: string | number | null;
    token_ids?: number[] | null;
    prompt_token_ids?: number[] | null;
    logprobs: unknown;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  };
  prompt_token_ids?: number[] | null;
  kv_transfer_params?: Record<string, unknown> | null;
  error?: { message: string; type: string; param: string | null; code: number };
}

export async function readBody(response: Response): Promise<StreamEvent> {
  return (await response.json()) as StreamEvent;
}

/** The text of one choice over the events of a stream. */
export function textOf(events: readonly StreamEvent[], choice = 0): string {
  return events
    .flatMap((event) => event.choices)
    .filter((one) => one.index === choice)
    .map((one) => one.delta?.content ?? one.text ?? '')
    .join('');
}
