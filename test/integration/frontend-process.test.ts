import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { selfCommand } from '../../src/base/package-root.ts';
import { createDiscovery } from '../../src/discovery/create-discovery.ts';
import { parsePrometheusText } from '../../src/telemetry/prometheus-text.ts';
import { freePort } from '../helpers/free-port.ts';
import { makeInstance } from '../helpers/instance.ts';
import { readEvents, startMocker, textOf } from '../helpers/mocker-process.ts';
import {
  decodeScript,
  doneEvent,
  roleEvent,
  STREAM_END,
  STREAM_HEAD,
  startScriptedWorker,
  tokenEvent,
} from '../helpers/scripted-worker.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

interface FrontendProcess extends AsyncDisposable {
  url: string;
  child: ChildProcess;
  stderr(): string;
  exited: Promise<number | string>;
}

async function startFrontendProcess(root: string, args: string[] = [], port?: number): Promise<FrontendProcess> {
  const used = port ?? (await freePort());
  const [node, cli] = selfCommand();
  const argv = [
    cli,
    'frontend',
    '--deployment',
    'demo',
    '--discovery-root',
    root,
    '--http-port',
    String(used),
    ...args,
  ];
  const child = spawn(node, argv, { stdio: ['ignore', 'inherit', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (data: string) => {
    text += data;
  });
  // 'close', not 'exit': only then all it wrote has been read.
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    url: `http://127.0.0.1:${used}`,
    child,
    exited,
    stderr: () => text,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}

async function publish(root: string, mockers: Record<string, { url: string }>) {
  const discovery = await createDiscovery({ backend: 'file', root }, { deployment: 'demo', ttlMs: 10_000 });
  for (const [name, mocker] of Object.entries(mockers)) {
    const metrics = parsePrometheusText(await (await fetch(`${mocker.url}/metrics`)).text());
    const role = name.startsWith('prefill') ? 'prefill' : name.startsWith('decode') ? 'decode' : 'aggregated';
    await discovery.register(
      makeInstance(name, 1, {
        role,
        model: 'demo',
        url: mocker.url,
        processStart: metrics.find((sample) => sample.name === 'process_start_time_seconds')?.value ?? null,
        kvTransfer: role === 'aggregated' ? null : 'vllm-nixl',
      }),
      {},
    );
  }
  return discovery;
}

/** Waits until the frontend serves and knows so many workers. */
const ready = (url: string, workers: number) =>
  waitFor('the frontend to be ready', async () => {
    const health = await fetch(`${url}/health`).catch(() => undefined);
    return health?.ok && ((await health.json()) as { instances: unknown[] }).instances.length === workers;
  });
const listening = (frontend: FrontendProcess) =>
  waitFor('the frontend to listen', () => frontend.stderr().includes('frontend listening')).catch((error: Error) => {
    throw new Error(`${error.message}; it said: ${frontend.stderr()}`);
  });
const post = (url: string, body: object) =>
  fetch(`${url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify({ model: 'demo', ...body }) });
const ask = (text: string) => ({ messages: [{ role: 'user', content: text }] });

describe('dynamo frontend with simulated workers', () => {
  it('hands KV cache over between real worker processes and gives the same text streamed, whole and direct', async () => {
    using folder = tmpDir();
    await using prefill = await startMocker(['--disaggregation-mode', 'prefill', '--speedup-ratio', '50']);
    await using decode = await startMocker(['--disaggregation-mode', 'decode', '--speedup-ratio', '50']);
    await using frontend = await startFrontendProcess(folder.dir, ['--router-mode', 'kv', '--seed', '1']);
    await using _ = await publish(folder.dir, { 'prefill-0': prefill, 'decode-0': decode });
    await ready(frontend.url, 2);
    const request = { ...ask('The quick brown fox jumps over the lazy dog. '.repeat(40)), max_tokens: 24 };
    const direct = (await (await decode.post('/v1/chat/completions', { model: 'demo', ...request })).json()) as Answer;
    const whole = (await (await post(frontend.url, request)).json()) as Answer;
    const events = await readEvents(
      await post(frontend.url, { ...request, stream: true, stream_options: { include_usage: true } }),
    );
    expect(whole.choices[0]!.message.content).toBe(direct.choices[0]!.message.content);
    expect(textOf(events)).toBe(direct.choices[0]!.message.content);
    // The second request finds its full blocks on the prefill worker, and the client is told so.
    expect(whole.usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(events.at(-1)!.usage!.prompt_tokens_details.cached_tokens).toBeGreaterThan(500);
    expect(await decode.metric('vllm:nixl_xfer_time_seconds_count')).toBeGreaterThan(0);
    expect(await decode.metric('vllm:nixl_num_failed_transfers_total')).toBe(0);
    const text = await (await fetch(`${frontend.url}/metrics`)).text();
    const tokens = parsePrometheusText(text).find((sample) => sample.name === 'dynamo_frontend_output_tokens_total');
    expect(tokens?.value).toBe(48);
  });

  it('redoes both legs on other workers when a decode worker is killed, and keeps serving', async () => {
    using folder = tmpDir();
    await using prefill = await startMocker(['--disaggregation-mode', 'prefill', '--speedup-ratio', '50']);
    await using first = await startMocker(['--disaggregation-mode', 'decode', '--speedup-ratio', '50']);
    await using second = await startMocker(['--disaggregation-mode', 'decode', '--speedup-ratio', '50']);
    await using frontend = await startFrontendProcess(folder.dir, ['--router-mode', 'round-robin', '--seed', '1']);
    await using _ = await publish(folder.dir, { 'prefill-0': prefill, 'decode-0': first, 'decode-1': second });
    await ready(frontend.url, 3);
    for (let index = 0; index < 2; index += 1)
      expect((await post(frontend.url, { ...ask(`warm ${index}`), max_tokens: 2 })).status).toBe(200);
    first.child.kill('SIGKILL');
    await first.exited;
    for (let index = 0; index < 6; index += 1) {
      const response = await post(frontend.url, { ...ask(`question ${index}`), max_tokens: 4 });
      expect([response.status, response.headers.get('x-dynamo-decode-worker')]).toEqual([200, 'decode-1']);
      await response.text();
    }
  });

  it('on SIGTERM finishes the open stream, refuses others and exits 0; a second signal ends it at once', async () => {
    using folder = tmpDir();
    // Its streams go on until the test ends them.
    const ends: (() => void)[] = [];
    await using worker = await startScriptedWorker((request, count) => {
      if (request.json['stream'] !== true) return decodeScript(request, count);
      request.socket.write(STREAM_HEAD + roleEvent + tokenEvent('a'));
      ends.push(() => request.socket.write(tokenEvent('b', 'stop') + doneEvent + STREAM_END));
    });
    await using frontend = await startFrontendProcess(folder.dir);
    await using _ = await publish(folder.dir, { 'worker-0': worker });
    await ready(frontend.url, 1);
    const open = await post(frontend.url, { ...ask('hello'), stream: true });
    frontend.child.kill('SIGTERM');
    await waitFor('new requests to be refused', async () => (await post(frontend.url, ask('late'))).status === 503);
    ends[0]!();
    expect(await readEvents(open)).toHaveLength(3);
    expect(await frontend.exited).toBe(0);

    await using again = await startFrontendProcess(folder.dir);
    await ready(again.url, 1);
    const stuck = await post(again.url, { ...ask('hello'), stream: true });
    again.child.kill('SIGTERM');
    await waitFor('it to drain', () => again.stderr().includes('"msg":"draining"'));
    again.child.kill('SIGTERM');
    expect(await again.exited).toBe(130);
    await expect(stuck.text()).rejects.toThrow();
    await waitFor('the worker to be told', () => worker.sockets.size === 0);
  });

  it('names a port in use with its error code, and unknown options with status 2', async () => {
    using folder = tmpDir();
    await using first = await startFrontendProcess(folder.dir);
    await listening(first);
    await using second = await startFrontendProcess(folder.dir, [], Number(new URL(first.url).port));
    expect(await second.exited).toBe(4);
    expect(second.stderr()).toContain('PORT_IN_USE');
    await using wrong = await startFrontendProcess(folder.dir, ['--router-mode', 'psychic']);
    expect(await wrong.exited).toBe(2);
  });

  it('starts without workers and without a readable answer to give, and says what it waits for', async () => {
    using folder = tmpDir();
    await using frontend = await startFrontendProcess(folder.dir);
    await listening(frontend);
    const health = await fetch(`${frontend.url}/health`);
    expect([health.status, await health.json()]).toMatchObject([503, { status: 'not_ready', instances: [] }]);
    expect((await post(frontend.url, ask('x'))).status).toBe(404);
    frontend.child.kill('SIGTERM');
    expect(await frontend.exited).toBe(0);
  });
});

interface Answer {
  choices: { message: { content: string } }[];
  usage: { prompt_tokens_details: { cached_tokens: number } };
}
