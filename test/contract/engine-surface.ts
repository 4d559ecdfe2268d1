import { describe, expect, it } from 'vitest';
import { parsePrometheusText, type Sample, sumOf } from '../../src/telemetry/prometheus-text.ts';
import { waitFor } from '../helpers/until.ts';
import { MESSAGES, REFUSALS } from './engine-refusals.ts';

/** A running pair of engines, whatever they are. Decode workers also serve requests without a first leg, and render. */
export interface EnginePair {
  prefill: string;
  decode: string;
  model: string;
  maxModelLen: number;
  blockSize: number;
}

/** What `dynamo` relies on, as vLLM 0.32 was seen to do it. A simulated engine that differs is wrong. */
export function describeEngineSurface(pair: () => EnginePair): void {
  const url = () => pair().decode;
  const get = (path: string) => fetch(url() + path);
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    send(url(), path, JSON.stringify({ model: pair().model, ...body }), headers);
  const chat = (body: object, headers?: Record<string, string>) =>
    post('/v1/chat/completions', { messages: MESSAGES, temperature: 0, max_tokens: 6, ...body }, headers);
  const complete = (body: object) =>
    post('/v1/completions', { prompt: 'Hello river', temperature: 0, max_tokens: 6, ...body });

  describe('besides completions', () => {
    it('says that it lives, which version it is and what it serves', async () => {
      for (const path of ['/health', '/ping']) {
        const response = await get(path);
        expect([response.status, await response.text()]).toEqual([200, '']);
      }
      expect(await (await get('/version')).json()).toEqual({ version: expect.stringMatching(/^0\.32\.0/) });
      expect(await (await get('/load')).json()).toEqual({ server_load: 0 });
      expect(await (await get('/v1/models')).json()).toMatchObject({
        object: 'list',
        data: [
          {
            id: pair().model,
            object: 'model',
            created: expect.any(Number),
            owned_by: 'vllm',
            parent: null,
            max_model_len: pair().maxModelLen,
          },
        ],
      });
    });

    it('turns text into tokens and back', async () => {
      const body = await jsonOf(await post('/tokenize', { prompt: 'Hello river' }));
      expect(Object.keys(body)).toEqual(['count', 'max_model_len', 'tokens', 'token_strs']);
      expect(body).toMatchObject({ count: body.tokens.length, max_model_len: pair().maxModelLen, token_strs: null });
      const named = await jsonOf(await post('/tokenize', { prompt: 'Hello river', return_token_strs: true }));
      expect(named.token_strs).toHaveLength(body.count);
      expect(await jsonOf(await post('/detokenize', { tokens: body.tokens }))).toEqual({ prompt: 'Hello river' });
      const asked = await jsonOf(await post('/tokenize', { messages: MESSAGES }));
      const answered = await jsonOf(await chat({ return_token_ids: true }));
      expect(answered.prompt_token_ids).toEqual(asked.tokens);
    });
  });

  describe('renders', () => {
    const render = (path: string, body: object) =>
      send(url(), `${path}/render`, JSON.stringify({ model: pair().model, ...body }), { 'x-request-id': 'my-id' });

    it('a chat into the tokens that it computes', async () => {
      const body = await jsonOf(await render('/v1/chat/completions', { messages: MESSAGES, max_tokens: 6 }));
      expect(Object.keys(body)).toEqual(RENDERED_KEYS);
      expect(body).toMatchObject({ request_id: 'chatcmpl-my-id', model: pair().model, stream: false });
      expect(body.sampling_params.max_tokens).toBe(6);
      expect(body.token_ids).toEqual((await jsonOf(await chat({ return_token_ids: true }))).prompt_token_ids);
    });

    it('completions, however many', async () => {
      const [one, ...others] = await jsonOf(await render('/v1/completions', { prompt: 'Hello river', max_tokens: 9 }));
      expect(others).toEqual([]);
      expect(Object.keys(one)).toEqual(RENDERED_KEYS);
      expect(one).toMatchObject({ request_id: 'cmpl-my-id', sampling_params: { max_tokens: 9 } });
      const answered = await jsonOf(await complete({ return_token_ids: true }));
      expect(one.token_ids).toEqual(answered.choices[0].prompt_token_ids);
      const two = await jsonOf(await render('/v1/completions', { prompt: ['Hello river', 'Else'] }));
      expect(two.map((rendered: Json) => rendered.request_id)).toEqual(['cmpl-my-id-0', 'cmpl-my-id-1']);
      // What is as without saying so is left out.
      expect(two[0].sampling_params).not.toHaveProperty('max_tokens');
    });

    it('nothing without --enable-scale-out', async () => {
      for (const path of ['/v1/chat/completions', '/v1/completions']) {
        const response = await send(pair().prefill, `${path}/render`, '{}', {});
        const message = 'Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them.';
        expect(response.status).toBe(403);
        expect(await jsonOf(response)).toEqual({
          error: { message, type: 'PermissionDeniedError', param: null, code: 403 },
        });
      }
    });
  });

  describe('answers at once', () => {
    it('chats', async () => {
      const response = await chat({ return_token_ids: true }, { 'x-request-id': 'my-id' });
      expect(response.headers.get('content-type')).toBe('application/json');
      const body = await jsonOf(response);
      expect(Object.keys(body)).toEqual(CHAT_KEYS);
      expect(Object.keys(body.choices[0])).toEqual(CHAT_CHOICE_KEYS);
      expect(Object.keys(body.choices[0].message)).toEqual(MESSAGE_KEYS);
      expect(body).toMatchObject({
        id: 'chatcmpl-my-id',
        object: 'chat.completion',
        model: pair().model,
        system_fingerprint: expect.stringMatching(/^vllm-/),
        kv_transfer_params: null,
        choices: [
          { index: 0, message: { role: 'assistant' }, logprobs: null, finish_reason: 'length', stop_reason: null },
        ],
      });
      expect(body.choices[0].token_ids).toHaveLength(6);
      expectUsage(body.usage, body.prompt_token_ids.length, 6);
      expect(body.usage.completion_tokens_details).toBe(null);
      expect(Object.keys(body.usage.prompt_tokens_details)).toEqual(PROMPT_DETAIL_KEYS);
    });

    it('completes text, token ids, and lists of either', async () => {
      const body = await jsonOf(await complete({ return_token_ids: true }));
      expect(Object.keys(body)).toEqual(TEXT_KEYS);
      expect(Object.keys(body.choices[0])).toEqual(TEXT_CHOICE_KEYS);
      expect(body).toMatchObject({ object: 'text_completion', choices: [{ finish_reason: 'length' }] });
      expect(body.id).toMatch(/^cmpl-/);
      const { prompt_token_ids: ids, text } = body.choices[0];
      expectUsage(body.usage, ids.length, 6);
      expect((await jsonOf(await complete({ prompt: ids }))).choices[0].text).toBe(text);
      const two = await jsonOf(await complete({ prompt: ['Hello river', 'Something else'] }));
      expect(two.choices.map((choice: Json) => choice.index)).toEqual([0, 1]);
      expect(two.choices[0].text).toBe(text);
      expect(two.usage.completion_tokens).toBe(12);
      expect((await jsonOf(await complete({ prompt: [ids, ids] }))).choices[1].text).toBe(text);
      expect(body.choices[0].token_ids).toHaveLength(6);
    });

    it('ends at stop strings and stop tokens, and names them', async () => {
      const whole = (await jsonOf(await complete({ max_tokens: 20, return_token_ids: true }))).choices[0];
      const stop = whole.text.slice(8, 10);
      const cut = (await jsonOf(await complete({ max_tokens: 20, stop: ['never in there', stop] }))).choices[0];
      expect(cut).toMatchObject({
        text: whole.text.slice(0, whole.text.indexOf(stop)),
        finish_reason: 'stop',
        stop_reason: stop,
      });
      const token = whole.token_ids[3];
      const byToken = (await jsonOf(await complete({ max_tokens: 20, stop_token_ids: [token] }))).choices[0];
      expect(byToken).toMatchObject({ finish_reason: 'stop', stop_reason: token });
    });

    it('gives several answers, log probabilities, and a limit by either name', async () => {
      const two = await jsonOf(await chat({ n: 2, temperature: 0.5, seed: 1 }));
      expect(two.choices.map((choice: Json) => choice.index)).toEqual([0, 1]);
      const likely = (await jsonOf(await chat({ max_tokens: 2, logprobs: true, top_logprobs: 2 }))).choices[0];
      expect(likely.logprobs.content).toHaveLength(2);
      expect(Object.keys(likely.logprobs.content[0])).toEqual(['token', 'logprob', 'bytes', 'top_logprobs']);
      expect(likely.logprobs.content[0].top_logprobs).toHaveLength(2);
      const text = (await jsonOf(await complete({ max_tokens: 3, logprobs: 1 }))).choices[0];
      expect(Object.keys(text.logprobs)).toEqual(['text_offset', 'token_logprobs', 'tokens', 'top_logprobs']);
      const three = await jsonOf(await chat({ max_tokens: undefined, max_completion_tokens: 3 }));
      expect(three.usage.completion_tokens).toBe(3);
      expect((await jsonOf(await chat({ max_tokens: '3' }))).usage.completion_tokens).toBe(3);
    });

    it('takes numbers and switches in other spellings, and 16 tokens where a completion names no limit', async () => {
      expect((await jsonOf(await chat({ max_tokens: true }))).usage.completion_tokens).toBe(1);
      expect((await complete({ stream: 'yes' })).headers.get('content-type')).toContain('text/event-stream');
      expect((await jsonOf(await chat({ stream: 'off', return_token_ids: 1 }))).prompt_token_ids).not.toBe(null);
      expect((await jsonOf(await chat({ model: '' }))).model).toBe(pair().model);
      const unlimited = await jsonOf(await complete({ max_tokens: undefined, ignore_eos: true }));
      expect(unlimited.usage.completion_tokens).toBe(16);
    });

    it('cuts a limit down to what fits', async () => {
      const full = pair().maxModelLen;
      const prompt = Array.from({ length: full - 6 }, (_, index) => 0x61 + (index % 20));
      const body = await jsonOf(await complete({ prompt, max_tokens: full, ignore_eos: true }));
      expectUsage(body.usage, full - 6, 6);
    });

    it('finds a prompt again by whole blocks, but for its last token', async () => {
      const { blockSize } = pair();
      const prompt = Array.from({ length: 4 * blockSize }, (_, index) => 0x61 + ((index * 7) % 20));
      await jsonOf(await complete({ prompt, max_tokens: 1 }));
      const again = await jsonOf(await complete({ prompt, max_tokens: 1 }));
      expect(again.usage.prompt_tokens_details.cached_tokens).toBe(3 * blockSize);
    });
  });

  describe('streams', () => {
    it('chats event by event: role, text, finish, usage', async () => {
      const whole = await jsonOf(await chat({}));
      const response = await chat({ stream: true, stream_options: { include_usage: true }, return_token_ids: true });
      expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      const events = await eventsOf(response);
      const [first, second] = events;
      expect(Object.keys(first)).toEqual([...EVENT_KEYS, 'prompt_token_ids', 'prompt_text']);
      expect(first).toMatchObject({
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
      });
      expect(first.prompt_token_ids).toHaveLength(whole.usage.prompt_tokens);
      expect(Object.keys(second)).toEqual(EVENT_KEYS);
      expect(Object.keys(second.choices[0])).toEqual(['index', 'delta', 'logprobs', 'finish_reason', 'token_ids']);
      expect(Object.keys(second.choices[0].delta)).toEqual(['content']);
      expect(Object.keys(events.at(-2).choices[0])).toEqual([
        ...['index', 'delta', 'logprobs', 'finish_reason', 'stop_reason', 'token_ids'],
      ]);
      expect(events.at(-2).choices[0]).toMatchObject({ finish_reason: 'length', stop_reason: null });
      expect(Object.keys(events.at(-1))).toEqual([...EVENT_KEYS, 'usage', 'system_fingerprint']);
      expect(events.at(-1).choices).toEqual([]);
      expectUsage(events.at(-1).usage, whole.usage.prompt_tokens, 6);
      expect(Object.keys(events.at(-1).usage.prompt_tokens_details)).toEqual(['cached_tokens', 'created_cache_tokens']);
      expect(new Set(events.map((event) => event.id)).size).toBe(1);
      expect(textOf(events)).toBe(whole.choices[0].message.content);
      expect(events.flatMap((event) => event.choices[0]?.token_ids ?? [])).toHaveLength(6);
    });

    it('completes event by event; token ids and usage only when asked', async () => {
      const whole = await jsonOf(await complete({ return_token_ids: true }));
      const events = await eventsOf(
        await complete({ stream: true, return_token_ids: true, stream_options: { include_usage: true } }),
      );
      expect(Object.keys(events[0])).toEqual(EVENT_KEYS);
      expect(Object.keys(events[0].choices[0])).toEqual(TEXT_EVENT_CHOICE_KEYS);
      expect(events[0].choices[0].prompt_token_ids).toEqual(whole.choices[0].prompt_token_ids);
      expect(events[1].choices[0].prompt_token_ids).toBe(null);
      expect(events.flatMap((event) => event.choices[0]?.token_ids ?? [])).toEqual(whole.choices[0].token_ids);
      expect(textOf(events)).toBe(whole.choices[0].text);
      expect(Object.keys(events.at(-1).usage.prompt_tokens_details)).toEqual(['cached_tokens']);
      const plain = await eventsOf(await complete({ stream: true }));
      // The last event of all has it, whichever that is.
      expect(plain.map((event) => 'system_fingerprint' in event).indexOf(true)).toBe(plain.length - 1);
      const chatted = await eventsOf(await chat({ stream: true }));
      expect(chatted.map((event) => 'system_fingerprint' in event).indexOf(true)).toBe(chatted.length - 1);
      expect(plain.every((event) => event.usage === undefined && event.choices[0].token_ids === null)).toBe(true);
      expect(plain.at(-1).choices[0].finish_reason).toBe('length');
    });

    it('stops and frees everything when the client goes away', async () => {
      const gone = new AbortController();
      const prompt = Array.from({ length: 300 }, (_, index) => 0x61 + ((index * 3) % 20));
      const response = await fetch(`${url()}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: pair().model,
          prompt,
          max_tokens: 3_000,
          ignore_eos: true,
          temperature: 0,
          stream: true,
        }),
        signal: gone.signal,
      });
      await response.body!.getReader().read();
      // Metrics follow what they count.
      const usage = () => metric(url(), 'vllm:kv_cache_usage_perc');
      await waitFor('its blocks to be counted', async () => (await usage()) > 0, 60_000);
      gone.abort();
      await waitFor('it to be idle', async () => (await metric(url(), 'vllm:num_requests_running')) === 0, 60_000);
      await waitFor('its blocks to be free', async () => (await usage()) === 0, 60_000);
    });
  });

  describe('refuses', () => {
    it.each(REFUSALS)('$name', async ({ path, body, raw, type, expected }) => {
      const text = raw ?? JSON.stringify({ model: pair().model, ...body?.(pair()) });
      const response = await send(url(), path, text, type === undefined ? {} : { 'content-type': type });
      const { error } = await jsonOf(response);
      const [status, kind, param, message] = expected;
      expect([response.status, error.code, error.type, error.param]).toEqual([status, status, kind, param]);
      expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
      if (message instanceof RegExp) expect(error.message).toMatch(message);
      else expect(error.message).toBe(message);
    });

    it('other models, and says which it has', async () => {
      for (const path of ['/v1/chat/completions', '/tokenize']) {
        const response = await post(path, { model: 'other', messages: MESSAGES });
        const message = `The model \`other\` does not exist. Valid aliases: ${pair().model}.`;
        expect(response.status).toBe(404);
        expect(await jsonOf(response)).toEqual({
          error: { message, type: 'NotFoundError', param: 'model', code: 404 },
        });
      }
    });

    it('other paths and methods', async () => {
      const missing = await get('/v2/nothing');
      expect([missing.status, await missing.json()]).toEqual([404, { detail: 'Not Found' }]);
      const method = await get('/v1/completions');
      expect([method.status, await method.json()]).toEqual([405, { detail: 'Method Not Allowed' }]);
    });
  });

  describe('metrics', () => {
    it('have the names that dynamo reads', async () => {
      const samples = await samplesOf(url());
      const names = new Set(samples.map((sample) => sample.name));
      for (const name of METRICS) expect(names).toContain(name);
      expect(samples.find((sample) => sample.name === 'vllm:cache_config_info')?.labels).toMatchObject({
        block_size: String(pair().blockSize),
        enable_prefix_caching: 'True',
        num_gpu_blocks: expect.stringMatching(/^\d+$/),
      });
      expect(samples.find((sample) => sample.name === 'vllm:num_requests_running')?.labels).toEqual({
        engine: '0',
        model_name: pair().model,
      });
      const reasons = samples.filter((sample) => sample.name === 'vllm:request_success_total');
      expect(reasons.map((sample) => sample.labels['finished_reason'])).toEqual(
        expect.arrayContaining(['stop', 'length', 'abort']),
      );
    });

    it('count requests and tokens', async () => {
      const read = async () => {
        const samples = await samplesOf(url());
        return ['vllm:request_success_total', 'vllm:prompt_tokens_total', 'vllm:generation_tokens_total'].map(
          (name) => sumOf(samples, name) ?? 0,
        );
      };
      const before = await read();
      const { usage } = await jsonOf(await complete({}));
      const risen = before.map((value, index) => value + [1, usage.prompt_tokens, 6][index]!);
      await waitFor(
        'the metrics to follow',
        async () => JSON.stringify(await read()) === JSON.stringify(risen),
        30_000,
      );
    });
  });

  describe('the hand-over of KV cache', () => {
    const LEG_1 = { do_remote_decode: true, do_remote_prefill: false };
    const leg = (where: string, path: string, body: object) =>
      send(where, path, JSON.stringify({ model: pair().model, temperature: 0, ...body }), {}).then(jsonOf);

    it.each(['/v1/completions', '/v1/chat/completions'])(
      '%s: same text as without, counted where it arrives',
      async (path) => {
        const { prefill, decode, blockSize } = pair();
        const words = Array.from({ length: 5 * blockSize }, (_, index) => `w${(index * 11) % 97}`).join(' ');
        const text = `${path} ${crypto.randomUUID()} ${words}`;
        const input = path.includes('chat') ? { messages: [{ role: 'user', content: text }] } : { prompt: text };
        const names = ['vllm:nixl_xfer_time_seconds_count', 'vllm:external_prefix_cache_hits_total'];
        const before = await Promise.all(names.map((name) => metric(decode, name)));
        const first = await leg(prefill, path, { ...input, max_tokens: 1, stream: false, kv_transfer_params: LEG_1 });
        const params = first.kv_transfer_params;
        expect(Object.keys(params)).toEqual(TRANSFER_KEYS);
        expect(params).toMatchObject({
          do_remote_prefill: true,
          do_remote_decode: false,
          remote_engine_id: expect.any(String),
          remote_host: '127.0.0.1',
          remote_port: expect.any(Number),
          remote_num_tokens: first.usage.prompt_tokens,
          transfer_mode: 'pull',
          remote_prefill_cached_tokens: 0,
        });
        expect(params.remote_block_ids[0]).toHaveLength(Math.ceil(first.usage.prompt_tokens / blockSize));
        const second = await leg(decode, path, { ...input, max_tokens: 12, kv_transfer_params: params });
        expect(second.kv_transfer_params).toBe(null);
        // What came from elsewhere does not count as cached.
        expect(second.usage.prompt_tokens_details.cached_tokens).toBe(0);
        await waitFor(
          'the counters to rise',
          async () => {
            const [transfers, tokens] = await Promise.all(names.map((name) => metric(decode, name)));
            return transfers === before[0]! + 1 && tokens! >= before[1]! + first.usage.prompt_tokens - 1;
          },
          30_000,
        );
        const alone = await leg(decode, path, { ...input, max_tokens: 12, cache_salt: 'apart' });
        const said = (body: Json) => body.choices[0].text ?? body.choices[0].message.content;
        expect(said(second)).toBe(said(alone));
      },
    );
  });
}

// biome-ignore lint/suspicious/noExplicitAny: an engine's JSON is looked at field by field, which is what is tested
type Json = any;

const CHAT_KEYS = [
  ...['id', 'object', 'created', 'model', 'choices', 'service_tier', 'system_fingerprint', 'usage', 'prompt_logprobs'],
  ...['prompt_token_ids', 'prompt_text', 'kv_transfer_params', 'ec_transfer_params', 'metrics'],
];
const CHAT_CHOICE_KEYS = [
  ...['index', 'message', 'logprobs', 'finish_reason', 'stop_reason', 'token_ids', 'routed_experts'],
];
const MESSAGE_KEYS = ['role', 'content', 'refusal', 'annotations', 'audio', 'function_call', 'reasoning'];
const TEXT_KEYS = [
  ...['id', 'object', 'created', 'model', 'choices', 'service_tier', 'system_fingerprint', 'usage'],
  ...['kv_transfer_params', 'ec_transfer_params', 'metrics'],
];
const TEXT_CHOICE_KEYS = [
  ...['index', 'text', 'logprobs', 'finish_reason', 'stop_reason', 'token_ids'],
  ...['prompt_logprobs', 'prompt_token_ids', 'routed_experts'],
];
const TEXT_EVENT_CHOICE_KEYS = [
  ...['index', 'text', 'logprobs', 'finish_reason', 'stop_reason', 'prompt_token_ids', 'token_ids'],
];
const EVENT_KEYS = ['id', 'object', 'created', 'model', 'choices'];
const PROMPT_DETAIL_KEYS = ['cached_tokens', 'created_cache_tokens', 'multimodal_tokens'];
const RENDERED_KEYS = [
  ...['request_id', 'token_ids', 'token_offsets', 'features', 'content_parts', 'sampling_params', 'model'],
  ...['reasoning_ended', 'reasoning_parser_kwargs', 'return_token_ids', 'output_mode', 'stream', 'stream_options'],
  ...['cache_salt', 'priority', 'kv_transfer_params', 'ec_transfer_params'],
];
const TRANSFER_KEYS = [
  ...['do_remote_prefill', 'do_remote_decode', 'remote_block_ids', 'remote_engine_id', 'remote_request_id'],
  ...['remote_host', 'remote_port', 'tp_size', 'dcp_size', 'pp_size', 'remote_num_tokens'],
  ...['remote_blocks_expiry_time', 'transfer_mode', 'remote_prefill_cached_tokens'],
];
const METRICS = [
  'process_start_time_seconds',
  'vllm:num_requests_running',
  'vllm:num_requests_waiting',
  'vllm:kv_cache_usage_perc',
  'vllm:prefix_cache_queries_total',
  'vllm:prefix_cache_hits_total',
  'vllm:external_prefix_cache_queries_total',
  'vllm:external_prefix_cache_hits_total',
  'vllm:prompt_tokens_total',
  'vllm:prompt_tokens_by_source_total',
  'vllm:prompt_tokens_cached_total',
  'vllm:generation_tokens_total',
  'vllm:request_success_total',
  'vllm:num_preemptions_total',
  'vllm:time_to_first_token_seconds_bucket',
  'vllm:inter_token_latency_seconds_sum',
  'vllm:e2e_request_latency_seconds_count',
  'vllm:request_queue_time_seconds_sum',
  'vllm:nixl_xfer_time_seconds_count',
  'vllm:nixl_bytes_transferred_sum',
  'vllm:nixl_num_failed_transfers_total',
  'vllm:nixl_num_failed_notifications_total',
  'vllm:nixl_num_kv_expired_reqs_total',
  'vllm:nixl_num_notifications_after_expiry_total',
];

function send(url: string, path: string, body: string, headers: Record<string, string>): Promise<Response> {
  return fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
}

async function jsonOf(response: Response): Promise<Json> {
  return response.json();
}

async function eventsOf(response: Response): Promise<Json[]> {
  const events = (await response.text()).split('\n\n').filter((event) => event !== '');
  expect(events.pop()).toBe('data: [DONE]');
  return events.map((event) => JSON.parse(event.slice('data: '.length)));
}

const textOf = (events: readonly Json[]): string =>
  events.map((event) => event.choices[0]?.delta?.content ?? event.choices[0]?.text ?? '').join('');

function expectUsage(usage: Json, promptTokens: number, completionTokens: number): void {
  expect(usage).toMatchObject({
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
  });
}

async function samplesOf(url: string): Promise<Sample[]> {
  return parsePrometheusText(await (await fetch(`${url}/metrics`)).text());
}

async function metric(url: string, name: string): Promise<number> {
  return sumOf(await samplesOf(url), name) ?? 0;
}
