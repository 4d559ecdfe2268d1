import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePrometheusText } from '../../src/telemetry/prometheus-text.ts';
import { encodeText } from '../../src/tokens/mock-tokenizer.ts';
import { type MockerProcess, readBody, readEvents, startMocker, textOf } from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

const messages = [{ role: 'user', content: 'Tell me about rivers.' }];
let mocker: MockerProcess;

beforeAll(async () => {
  mocker = await startMocker(['--speedup-ratio', '20', '--max-model-len', '4096', '--num-gpu-blocks-override', '256']);
});
afterAll(() => mocker[Symbol.asyncDispose]());

async function errorOf(response: Response): Promise<unknown> {
  const body = await readBody(response);
  return [response.status, body.error?.type, body.error?.param];
}

describe('the surface of an engine', () => {
  it('says that it lives, what it serves and which version it follows', async () => {
    for (const path of ['/health', '/ping']) {
      const response = await fetch(mocker.url + path);
      expect([response.status, await response.text()]).toEqual([200, '']);
    }
    expect(await (await fetch(`${mocker.url}/version`)).json()).toHaveProperty('version');
    expect(await (await fetch(`${mocker.url}/load`)).json()).toEqual({ server_load: 0 });
    expect(await (await fetch(`${mocker.url}/v1/models`)).json()).toMatchObject({
      object: 'list',
      data: [{ id: 'demo', object: 'model', max_model_len: 4_096 }],
    });
  });

  it('turns text into tokens and back', async () => {
    const tokens = (await (await mocker.post('/tokenize', { model: 'demo', prompt: 'Hello river' })).json()) as {
      tokens: number[];
      count: number;
    };
    expect(tokens).toMatchObject({ count: 4, max_model_len: 4_096, tokens: [...encodeText('Hello river')] });
    const back = await mocker.post('/detokenize', { model: 'demo', tokens: tokens.tokens });
    expect(await back.json()).toEqual({ prompt: 'Hello river' });
    const chat = (await (await mocker.post('/tokenize', { messages })).json()) as { count: number };
    expect(chat.count).toBeGreaterThan(10);
  });

  it('answers a chat in one body, with usage and the caller’s id', async () => {
    const response = await mocker.post(
      '/v1/chat/completions',
      { model: 'demo', messages, max_tokens: 20 },
      { headers: { 'content-type': 'application/json', 'x-request-id': 'my-id' } },
    );
    const body = await readBody(response);
    expect(body).toMatchObject({
      id: 'chatcmpl-my-id',
      object: 'chat.completion',
      model: 'demo',
      choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: 'length', stop_reason: null }],
      usage: { completion_tokens: 20 },
      kv_transfer_params: null,
    });
    expect(encodeText(body.choices[0]!.message!.content)).toHaveLength(20);
    expect(body.usage!.total_tokens).toBe(body.usage!.prompt_tokens + 20);
  });

  it('streams the same text as it answers at once, with role, finish and usage events', async () => {
    const request = { model: 'demo', messages, max_tokens: 40 };
    const whole = await readBody(await mocker.post('/v1/chat/completions', request));
    const response = await mocker.post('/v1/chat/completions', {
      ...request,
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = await readEvents(response);
    expect(events[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' });
    expect(events[0]!.prompt_token_ids).toHaveLength(whole.usage!.prompt_tokens);
    expect(textOf(events)).toBe(whole.choices[0]!.message!.content);
    const tokens = events.flatMap((event) => event.choices[0]?.token_ids ?? []);
    expect(tokens).toHaveLength(40);
    expect(events.at(-2)!.choices[0]!.finish_reason).toBe('length');
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 40 } });
    expect(new Set(events.map((event) => event.id)).size).toBe(1);
  });

  it('takes prompts as text, token ids and lists of either, each with its choices', async () => {
    const ids = [...encodeText('A prompt')];
    const ask = async (prompt: unknown, n = 1) =>
      readBody(await mocker.post('/v1/completions', { model: 'demo', prompt, n, max_tokens: 6 }));
    const text = (await ask('A prompt')).choices[0]!.text;
    expect((await ask(ids)).choices[0]!.text).toBe(text);
    const many = await ask(['A prompt', 'Another prompt'], 2);
    expect(many.choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3]);
    expect(many.choices[0]!.text).toBe(text);
    expect(many.choices[1]!.text).not.toBe(text);
    expect(many.usage!.completion_tokens).toBe(24);
    expect((await ask([ids, ids])).choices.map((choice) => choice.text)).toEqual([text, text]);
  });

  it('continues its own continuation, cut anywhere', async () => {
    const prompt = [...encodeText('Once upon a time')];
    const ask = async (ids: number[], max_tokens: number) =>
      readBody(await mocker.post('/v1/completions', { prompt: ids, max_tokens, return_token_ids: true }));
    const all = (await ask(prompt, 30)).choices[0]!.token_ids!;
    for (const cut of [1, 7, 8, 29]) {
      const rest = (await ask([...prompt, ...all.slice(0, cut)], 30 - cut)).choices[0]!.token_ids;
      expect(rest).toEqual(all.slice(cut));
    }
  });

  it('gives other text for another seed and the same for the same', async () => {
    const ask = async (seed: number) =>
      (await readBody(await mocker.post('/v1/completions', { prompt: 'x', seed, max_tokens: 8 }))).choices[0]!.text;
    expect(await ask(5)).toBe(await ask(5));
    expect(await ask(5)).not.toBe(await ask(6));
  });

  it('ends at a stop string, not before min_tokens, streamed or not', async () => {
    const request = { model: 'demo', prompt: 'Stop here', max_tokens: 60 };
    const full = (await readBody(await mocker.post('/v1/completions', request))).choices[0]!.text!;
    const stop = full.slice(40, 47);
    const at = full.indexOf(stop);
    const body = await readBody(await mocker.post('/v1/completions', { ...request, stop: [stop, 'not in there'] }));
    expect(body.choices[0]).toMatchObject({ text: full.slice(0, at), finish_reason: 'stop', stop_reason: stop });
    const events = await readEvents(await mocker.post('/v1/completions', { ...request, stop, stream: true }));
    expect(textOf(events)).toBe(full.slice(0, at));
    const late = await readBody(await mocker.post('/v1/completions', { ...request, stop, min_tokens: 60 }));
    expect(late.choices[0]!.finish_reason).toBe('length');
    expect(late.choices[0]!.text).toBe(full);
    const token = encodeText(full)[5]!;
    const byToken = await readBody(await mocker.post('/v1/completions', { ...request, stop_token_ids: [token] }));
    expect(byToken.choices[0]).toMatchObject({ finish_reason: 'stop', stop_reason: token });
  });

  it('gives log probabilities when asked', async () => {
    const chat = await readBody(
      await mocker.post('/v1/chat/completions', { messages, max_tokens: 3, logprobs: true, top_logprobs: 2 }),
    );
    const { content } = chat.choices[0]!.logprobs as {
      content: { token: string; logprob: number; top_logprobs: [] }[];
    };
    expect(content.map((entry) => entry.token).join('')).toBe(chat.choices[0]!.message!.content);
    expect(content[0]!.logprob).toBeLessThanOrEqual(0);
    expect(content[0]!.top_logprobs).toHaveLength(2);
    const text = await readBody(await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 4, logprobs: 1 }));
    expect(text.choices[0]!.logprobs).toMatchObject({ tokens: { length: 4 }, text_offset: { length: 4 } });
  });

  it('reports cached tokens of a repeated prompt', async () => {
    const prompt = 'word '.repeat(150);
    const ask = async () => (await readBody(await mocker.post('/v1/completions', { prompt, max_tokens: 1 }))).usage!;
    const [first, second] = [await ask(), await ask()];
    expect(first.prompt_tokens_details.cached_tokens).toBe(0);
    const full = Math.floor((second.prompt_tokens - 1) / 64) * 64;
    expect(second.prompt_tokens_details.cached_tokens).toBe(full);
    expect(await mocker.metric('vllm:prefix_cache_hits_total')).toBeGreaterThanOrEqual(full);
  });

  it('produces as many tokens as it says by default, and no more than fit', async () => {
    const usage = async (prompt: unknown) =>
      (await readBody(await mocker.post('/v1/completions', { model: 'demo', prompt }))).usage!.completion_tokens;
    const chat = { model: 'demo', messages: [{ role: 'user', content: 'x' }] };
    expect((await readBody(await mocker.post('/v1/chat/completions', chat))).usage!.completion_tokens).toBe(128);
    expect(await usage('x')).toBe(16);
    expect(await usage(Array.from({ length: 4_090 }, () => 0x61))).toBe(6);
  });

  it('shows what happens in its metrics', async () => {
    const before = await mocker.metric('vllm:generation_tokens_total');
    await (await mocker.post('/v1/completions', { prompt: 'metrics', max_tokens: 9 })).text();
    expect((await mocker.metric('vllm:generation_tokens_total')) - before).toBe(9);
    const samples = parsePrometheusText(await (await fetch(`${mocker.url}/metrics`)).text());
    const names = new Set(samples.map((sample) => sample.name));
    for (const name of [
      'vllm:num_requests_running',
      'vllm:num_requests_waiting',
      'vllm:kv_cache_usage_perc',
      'vllm:prefix_cache_queries_total',
      'vllm:external_prefix_cache_hits_total',
      'vllm:prompt_tokens_total',
      'vllm:prompt_tokens_by_source_total',
      'vllm:request_success_total',
      'vllm:time_to_first_token_seconds_bucket',
      'vllm:inter_token_latency_seconds_sum',
      'vllm:e2e_request_latency_seconds_count',
      'vllm:num_preemptions_total',
      'process_start_time_seconds',
    ]) {
      expect(names).toContain(name);
    }
    const cache = samples.find((sample) => sample.name === 'vllm:cache_config_info');
    expect(cache?.labels).toMatchObject({ block_size: '64', num_gpu_blocks: '256' });
    const start = samples.find((sample) => sample.name === 'process_start_time_seconds')!.value;
    expect(Math.abs(start - Date.now() / 1_000)).toBeLessThan(300);
  });
});

describe('bad requests, in vLLM’s words', () => {
  it('refuses unknown models, long prompts and impossible limits', async () => {
    const chat = (body: object) => mocker.post('/v1/chat/completions', { messages, ...body });
    expect(await errorOf(await chat({ model: 'other' }))).toEqual([404, 'NotFoundError', 'model']);
    const tooLong = { prompt: 'a b '.repeat(3_000) };
    expect(await errorOf(await mocker.post('/v1/completions', tooLong))).toEqual([
      400,
      'BadRequestError',
      'input_tokens',
    ]);
    expect(await errorOf(await chat({ max_tokens: 0 }))).toEqual([400, 'BadRequestError', 'max_tokens']);
    expect(await errorOf(await chat({ n: 1e9 }))).toEqual([400, 'BadRequestError', null]);
    expect(await errorOf(await chat({ max_tokens: 4, min_tokens: 5 }))).toEqual([400, 'BadRequestError', null]);
    const asked = { stream_options: { include_usage: true } };
    expect(await errorOf(await chat(asked))).toEqual([400, 'BadRequestError', 'stream_options']);
  });

  it('refuses what is not JSON, with the place, and what is not called JSON', async () => {
    const send = (body: string, type = 'application/json') =>
      fetch(`${mocker.url}/v1/completions`, { method: 'POST', headers: { 'content-type': type }, body });
    expect(await errorOf(await send('{"model":!'))).toEqual([400, 'Bad Request', expect.stringMatching(/^body\.\d+$/)]);
    expect(await errorOf(await send('{"prompt":"x"'))).toEqual([400, 'Bad Request', 'body.13']);
    expect((await send('{}', 'text/plain')).status).toBe(400);
    for (const body of [
      '',
      '[]',
      'null',
      '7',
      '"x"',
      '{"prompt":{}}',
      '{"prompt":[[]]}',
      '{"prompt":[1.5]}',
      '{"prompt":""}',
    ]) {
      expect((await send(body)).status).toBe(400);
    }
    for (const extra of [{ messages: 'hi' }, { messages: [] }, { messages: [1] }, { messages: [{}] }, {}]) {
      expect((await mocker.post('/v1/chat/completions', extra)).status).toBe(400);
    }
    for (const field of ['stop', 'seed', 'n', 'min_tokens', 'stop_token_ids', 'stream_options', 'kv_transfer_params']) {
      const response = await mocker.post('/v1/chat/completions', { messages, [field]: { length: -1 }, stream: 1 });
      // Read to its end: an accepted one would be counted while a later test counts.
      await response.text();
      expect([field, response.status < 500]).toEqual([field, true]);
    }
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
  });

  it('knows no other paths and methods', async () => {
    const missing = await fetch(`${mocker.url}/v2/nothing`);
    expect([missing.status, await missing.json()]).toEqual([404, { detail: 'Not Found' }]);
    expect((await fetch(`${mocker.url}/v1/completions`)).status).toBe(405);
  });

  it('answers 400 to bytes that are no HTTP, and goes on', async () => {
    const socket = net.connect(mocker.port, '127.0.0.1');
    socket.write('\x00\x01garbage\r\n\r\n');
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    await waitFor('the connection to close', () => socket.closed);
    expect(answer).toContain('400');
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
  });
});

describe('connections', () => {
  it('serves several requests on one connection', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let index = 0; index < 5; index += 1) {
      await new Promise<void>((resolve, reject) => {
        const request = http.request(
          `${mocker.url}/v1/completions`,
          { agent, method: 'POST', headers: { 'content-type': 'application/json' } },
          (response) => response.resume().once('end', resolve),
        );
        request.once('error', reject).end('{"prompt":"x","max_tokens":2}');
        request.once('socket', (socket) => socket.once('connect', () => ports.add(socket.localPort)));
      });
    }
    agent.destroy();
    expect(ports.size).toBe(1);
  });

  it('stops generating and frees its blocks when the client goes away, streamed or not', async () => {
    // So slow that nothing ends by itself.
    await using slow = await startMocker(['--speedup-ratio', '0.1', '--num-gpu-blocks-override', '2048']);
    const aborted = await slow.metric('vllm:request_success_total');
    for (const stream of [true, false]) {
      const gone = new AbortController();
      const prompt = `to be cut ${'word '.repeat(500)}`;
      const pending = slow.post(
        '/v1/completions',
        { prompt, max_tokens: 3_000, stream },
        { headers: { 'content-type': 'application/json' }, signal: gone.signal },
      );
      pending.catch(() => {});
      await waitFor('it to run', async () => (await slow.metric('vllm:num_requests_running')) === 1);
      expect(await slow.metric('vllm:kv_cache_usage_perc')).toBeGreaterThan(0);
      gone.abort();
      await waitFor('it to be dropped', async () => (await slow.metric('vllm:num_requests_running')) === 0);
      expect(await slow.metric('vllm:kv_cache_usage_perc')).toBe(0);
    }
    expect(await slow.metric('vllm:request_success_total')).toBe(aborted + 2);
  });

  it('keeps many streams apart', async () => {
    const ask = async (index: number) => {
      const request = { prompt: `Stream number ${index}`, max_tokens: 20 + (index % 5) };
      const [whole, events] = await Promise.all([
        mocker.post('/v1/completions', request).then(readBody),
        mocker.post('/v1/completions', { ...request, stream: true }).then(readEvents),
      ]);
      expect(textOf(events)).toBe(whole.choices[0]!.text);
      expect(whole.usage!.completion_tokens).toBe(20 + (index % 5));
    };
    await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index)));
    expect(await mocker.metric('vllm:kv_cache_usage_perc')).toBe(0);
  });

  it('preempts under pressure and still gives every request its length', async () => {
    await using small = await startMocker([
      ...['--speedup-ratio', '50', '--block-size', '16', '--num-gpu-blocks-override', '20'],
      ...['--max-model-len', '256', '--max-num-batched-tokens', '64'],
    ]);
    const prompts = Array.from({ length: 6 }, (_, index) => `${index} `.repeat(20));
    // One request: its prompts arrive together, however slow either side is.
    const ask = async (prompt: string | string[]) =>
      (await readBody(await small.post('/v1/completions', { prompt, max_tokens: 200, return_token_ids: true })))
        .choices;
    const choices = await ask(prompts);
    expect(choices.map((choice) => choice.token_ids!.length)).toEqual(prompts.map(() => 200));
    expect(await small.metric('vllm:num_preemptions_total')).toBeGreaterThan(0);
    const [alone] = await ask(prompts[3]!);
    expect(alone!.text).toBe(choices[3]!.text);
  });
});
