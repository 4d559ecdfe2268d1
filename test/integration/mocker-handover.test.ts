import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePrometheusText, sumOf } from '../../src/telemetry/prometheus-text.ts';
import { freePort } from '../helpers/free-port.ts';
import {
  type MockerProcess,
  readBody,
  readEvents,
  type StreamEvent,
  startMocker,
  textOf,
} from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

const FAST = ['--speedup-ratio', '20'];
const PREFILL = [...FAST, '--disaggregation-mode', 'prefill'];
const DECODE = [...FAST, '--disaggregation-mode', 'decode'];
const LEG_1 = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};

type Params = Record<string, unknown>;

async function prefill(worker: MockerProcess, prompt: string): Promise<Params> {
  const body = await readBody(
    await worker.post('/v1/completions', { model: 'demo', prompt, max_tokens: 1, kv_transfer_params: LEG_1 }),
  );
  expect(body.choices[0]!.finish_reason).toBe('length');
  return body.kv_transfer_params!;
}

function decode(
  worker: MockerProcess,
  prompt: string,
  params: Params | undefined,
  extra: object = {},
): Promise<Response> {
  return worker.post('/v1/completions', { prompt, max_tokens: 12, kv_transfer_params: params, ...extra });
}

async function textFrom(response: Response | Promise<Response>): Promise<string> {
  const body = await readBody(await response);
  expect(body.error).toBeUndefined();
  return body.choices[0]!.text!;
}

const failedTransfers = (worker: MockerProcess) => worker.metric('vllm:nixl_num_failed_transfers_total');
const held = (worker: MockerProcess) => worker.metric('vllm:kv_cache_usage_perc');

let prompts = 0;
/** A prompt of more than two blocks that no other test has. */
const freshPrompt = () => `Prompt number ${++prompts} of this file. ${'More words follow here. '.repeat(12)}`;

let p: MockerProcess;
let d: MockerProcess;
beforeAll(async () => {
  [p, d] = await Promise.all([startMocker(PREFILL), startMocker(DECODE)]);
});
afterAll(async () => {
  await p[Symbol.asyncDispose]();
  await d[Symbol.asyncDispose]();
});

describe('handing KV cache from a prefill to a decode worker', () => {
  it('answers leg 1 with the keys of a real engine', async () => {
    const params = await prefill(p, freshPrompt());
    expect(params).toEqual({
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: [expect.arrayContaining([expect.any(Number)])],
      remote_engine_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      remote_request_id: expect.stringMatching(/^cmpl-[0-9a-f]{32}-0-[0-9a-f]{8}$/),
      remote_host: '127.0.0.1',
      remote_port: p.sidePort,
      tp_size: 1,
      dcp_size: 1,
      pp_size: 1,
      remote_num_tokens: expect.any(Number),
      remote_blocks_expiry_time: null,
      transfer_mode: 'pull',
      remote_prefill_cached_tokens: 0,
    });
    await decode(d, freshPrompt(), params);
  });

  it('gives the text of an aggregated worker, streamed or not, and shows the transfer in its counters', async () => {
    const prompt = freshPrompt();
    const expected = await textFrom(decode(p, prompt, undefined));
    const before = await d.metric('vllm:external_prefix_cache_hits_total');
    const failedBefore = await failedTransfers(d);
    const body = await readBody(await decode(d, prompt, await prefill(p, prompt)));
    expect(body.choices[0]!.text).toBe(expected);
    expect(body.usage!.prompt_tokens_details.cached_tokens).toBe(0);
    const moved = (await d.metric('vllm:external_prefix_cache_hits_total')) - before;
    expect(moved).toBe(body.usage!.prompt_tokens);
    expect(await d.metric('vllm:nixl_xfer_time_seconds_count')).toBeGreaterThan(0);
    expect(await d.metric('vllm:nixl_bytes_transferred_sum')).toBeGreaterThanOrEqual(moved * 131_072);
    expect(await failedTransfers(d)).toBe(failedBefore);

    const other = freshPrompt();
    const params = await prefill(p, other);
    const events = await readEvents(await decode(d, other, params, { stream: true }));
    expect(textOf(events)).toBe(await textFrom(decode(p, other, undefined)));
  });

  it('works for chats too', async () => {
    const chat = { messages: [{ role: 'user', content: freshPrompt() }], max_tokens: 10 };
    const leg1 = await readBody(
      await p.post('/v1/chat/completions', {
        ...chat,
        max_tokens: 1,
        kv_transfer_params: LEG_1,
        return_token_ids: true,
      }),
    );
    const params = { ...leg1.kv_transfer_params, prompt_token_ids: leg1.prompt_token_ids };
    const leg2 = await readBody(await d.post('/v1/chat/completions', { ...chat, kv_transfer_params: params }));
    const alone = await readBody(await p.post('/v1/chat/completions', chat));
    expect(leg2.choices[0]!.message!.content).toBe(alone.choices[0]!.message!.content);
  });

  it('frees the blocks on the prefill worker once they are read', async () => {
    const prompt = freshPrompt();
    const params = await prefill(p, prompt);
    expect(await held(p)).toBeGreaterThan(0);
    await textFrom(decode(d, prompt, params));
    expect(await held(p)).toBe(0);
  });

  it('answers rightly when parameters are used twice on the same prompt, and wrongly with another prompt’s', async () => {
    const prompt = freshPrompt();
    const params = await prefill(p, prompt);
    const first = await textFrom(decode(d, prompt, params));
    expect(await textFrom(decode(d, `${prompt}`, params))).toBe(first);
    const other = freshPrompt();
    const response = await decode(d, other, await prefill(p, prompt));
    expect(response.status).toBe(200);
    const wrong = await textFrom(response);
    expect(wrong).not.toBe(await textFrom(decode(p, other, undefined)));
  });

  it('reads what was written over blocks that were freed long ago', async () => {
    await using small = await startMocker([...PREFILL, '--num-gpu-blocks-override', '32', '--max-model-len', '2048']);
    const prompt = freshPrompt();
    const params = await prefill(small, prompt);
    const right = await textFrom(decode(d, prompt, params));
    for (let round = 0; round < 12; round += 1) await textFrom(decode(small, freshPrompt().repeat(2), undefined));
    // A new decode worker: the first one has the prompt in its own cache by now, and loads less.
    expect(await textFrom(decode(d, prompt, params))).not.toBe(right);
  });

  it('computes the prompt itself when there are no usable parameters', async () => {
    const prompt = freshPrompt();
    const expected = await textFrom(decode(p, prompt, undefined));
    const before = await d.metric('vllm:external_prefix_cache_hits_total');
    for (const params of [undefined, {}, { do_remote_prefill: true }, { do_remote_prefill: true, remote_port: 'x' }]) {
      expect(await textFrom(decode(d, prompt, params))).toBe(expected);
    }
    expect(await d.metric('vllm:external_prefix_cache_hits_total')).toBe(before);
    expect(d.log()).toContain('Got invalid KVTransferParams');
  });

  it('takes the time that the bytes need', async () => {
    await using slow = await startMocker([
      ...['--disaggregation-mode', 'decode', '--kv-transfer-bandwidth', '0.1', '--kv-bytes-per-token', '131072'],
    ]);
    const prompt = freshPrompt();
    const params = await prefill(p, prompt);
    await textFrom(decode(slow, prompt, params));
    const tokens = params['remote_num_tokens'] as number;
    expect(await slow.metric('vllm:nixl_xfer_time_seconds_sum')).toBeGreaterThanOrEqual(
      (tokens * 131_072) / 0.1e9 - 0.002,
    );
  });
});

describe('when a handover fails', () => {
  it('answers 500 and counts it when the prefill worker is dead, and goes on', async () => {
    const prompt = freshPrompt();
    const victim = await startMocker(PREFILL);
    const params = await prefill(victim, prompt);
    await victim[Symbol.asyncDispose]();
    const before = await failedTransfers(d);
    const response = await decode(d, prompt, params);
    expect(response.status).toBe(500);
    expect((await readBody(response)).error).toMatchObject({ type: 'InternalServerError', code: 500 });
    expect(await failedTransfers(d)).toBe(before + 1);
    expect(await d.metric('vllm:nixl_num_failed_notifications_total')).toBeGreaterThan(0);

    const stream = await decode(d, prompt, params, { stream: true });
    expect(stream.status).toBe(200);
    const events = await readEvents(stream);
    expect(events.map((event) => event.error?.type)).toEqual(['InternalServerError']);
    expect(await held(d)).toBe(0);
    await textFrom(decode(d, prompt, undefined));
  });

  it('refuses the parameters of an earlier life of the prefill worker', async () => {
    const ports = { port: await freePort(), sidePort: await freePort() };
    const prompt = freshPrompt();
    const first = await startMocker(PREFILL, ports);
    const params = await prefill(first, prompt);
    await first[Symbol.asyncDispose]();
    await using _second = await startMocker(PREFILL, ports);
    expect((await decode(d, prompt, params)).status).toBe(500);
    expect(d.log()).toContain('engine ID mismatch');
    expect((await decode(d, prompt, await prefill(_second, prompt))).status).toBe(200);
  });

  it('frees blocks that nobody reads when their lease is over, counts them, and fails a late reader', async () => {
    await using brief = await startMocker([...PREFILL, '--kv-lease-duration', '0.2']);
    const prompt = freshPrompt();
    const params = await prefill(brief, prompt);
    await waitFor('the lease to end', async () => {
      const samples = parsePrometheusText(await (await fetch(`${brief.url}/metrics`)).text());
      const hasExpired = sumOf(samples, 'vllm:nixl_num_kv_expired_reqs_total') === 1;
      // Held until the very moment it is counted.
      expect([hasExpired, sumOf(samples, 'vllm:kv_cache_usage_perc')! > 0]).toEqual([hasExpired, !hasExpired]);
      return hasExpired;
    });
    expect(brief.log()).toContain('Releasing expired KV blocks');
    expect((await decode(d, prompt, params)).status).toBe(500);
  });

  it('computes the prompt itself under the recompute policy', async () => {
    await using lenient = await startMocker([...DECODE, '--kv-load-failure-policy', 'recompute']);
    const prompt = freshPrompt();
    const victim = await startMocker(PREFILL);
    const params = await prefill(victim, prompt);
    const expected = await textFrom(decode(victim, prompt, undefined));
    await victim[Symbol.asyncDispose]();
    expect(await textFrom(decode(lenient, prompt, params))).toBe(expected);
    expect(await failedTransfers(lenient)).toBe(1);
  });

  it('keeps blocks alive by heartbeats while their reader waits, and frees them when it gives up', async () => {
    await using brief = await startMocker([...PREFILL, '--kv-lease-duration', '6']);
    await using busy = await startMocker([
      ...['--disaggregation-mode', 'decode', '--max-num-seqs', '1', '--kv-lease-duration', '6'],
    ]);
    const queue = async (count: number) =>
      waitFor(`${count} to wait`, async () => (await busy.metric('vllm:num_requests_waiting')) === count);
    const leave = new AbortController();
    const headers = { 'content-type': 'application/json' };
    const blocker = await busy.post(
      '/v1/completions',
      { prompt: 'x', max_tokens: 20_000, stream: true },
      { headers, signal: leave.signal },
    );
    await waitFor('the first to run', async () => (await busy.metric('vllm:num_requests_running')) === 1);

    const prompt = freshPrompt();
    const gone = new AbortController();
    const given = busy.post(
      '/v1/completions',
      { prompt: 'y', kv_transfer_params: await prefill(brief, freshPrompt()) },
      { headers, signal: gone.signal },
    );
    given.catch(() => {});
    await queue(1);
    gone.abort();
    await queue(0);
    await waitFor('the blocks to be freed', async () => (await held(brief)) === 0);
    expect(await brief.metric('vllm:nixl_num_kv_expired_reqs_total')).toBe(0);

    const params = await prefill(brief, prompt);
    const heldSinceMs = performance.now();
    const waiting = decode(busy, prompt, params);
    await queue(1);
    // Longer than the lease, of which nobody would have heard without heartbeats.
    await waitFor('the lease to be over', () => performance.now() - heldSinceMs > 7_000);
    leave.abort();
    await blocker.text().catch(() => {});
    expect(await textFrom(waiting)).toBe(await textFrom(decode(p, prompt, undefined)));
    expect(await brief.metric('vllm:nixl_num_kv_expired_reqs_total')).toBe(0);
  });

  it('lets the prefill worker free the blocks of a leg 2 that is refused', async () => {
    const params = await prefill(p, freshPrompt());
    expect((await decode(d, 'x', params, { max_tokens: 0 })).status).toBe(400);
    await waitFor('the blocks to be freed', async () => (await held(p)) === 0);
  });
});

describe('the side channel under attack', () => {
  it('answers garbage with an error, closes, and serves the next reader', async () => {
    for (const garbage of ['\x00\x01\x02\n', '{"op":"claim"}\n', '[]\n{}\n', '"x"\n', 'x'.repeat(3 << 20)]) {
      const socket = net.connect(p.sidePort, '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += data.toString();
      });
      socket.on('error', () => {});
      socket.write(garbage);
      await once(socket, 'close');
      if (garbage.length < 1_000) expect(JSON.parse(answer)).toMatchObject({ ok: false });
    }
    const prompt = freshPrompt();
    await textFrom(decode(d, prompt, await prefill(p, prompt)));
  });

  it('keeps blocks whose reader is cut off in the middle of its claim', async () => {
    const prompt = freshPrompt();
    const params = await prefill(p, prompt);
    const claim = { op: 'claim', engine_id: params['remote_engine_id'], request_id: params['remote_request_id'] };
    const half = net.connect(p.sidePort, '127.0.0.1');
    half.write(JSON.stringify(claim).slice(0, 20));
    half.end();
    await once(half.resume(), 'close');
    const whole = net.connect(p.sidePort, '127.0.0.1');
    whole.write(`${JSON.stringify(claim)}\n`);
    await once(whole, 'data');
    whole.resetAndDestroy();
    expect(await held(p)).toBeGreaterThan(0);
    await textFrom(decode(d, prompt, params));
    await waitFor('the blocks to be freed', async () => (await held(p)) === 0);
  });

  const peers: [string, (socket: net.Socket) => void][] = [
    ['closes the connection at the claim', (socket) => socket.destroy()],
    ['answers garbage', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['answers half a line and closes', (socket) => socket.end('{"ok":tr')],
    ['answers another message', (socket) => socket.write('{"ok":true}\n')],
    [
      'answers the claim and closes before the transfer is over',
      (socket) => socket.end('{"ok":true,"num_tokens":9,"prefix":[1,2],"last_token":3}\n'),
    ],
  ];
  it.each(peers)('fails the request when the holder %s', async (_name, behave) => {
    const sockets = new Set<net.Socket>();
    const holder = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => behave(socket));
    });
    holder.listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const params = {
      ...{ do_remote_prefill: true, remote_engine_id: 'e', remote_request_id: 'r', remote_block_ids: [[1]] },
      ...{ remote_host: '127.0.0.1', remote_port: (holder.address() as net.AddressInfo).port },
    };
    // The transfer would take an hour.
    await using slow = await startMocker(['--disaggregation-mode', 'decode', '--kv-transfer-bandwidth', '0.00001']);
    expect((await decode(slow, freshPrompt(), params)).status).toBe(500);
    expect(await failedTransfers(slow)).toBe(1);
    expect(await held(slow)).toBe(0);
    for (const socket of sockets) socket.destroy();
    holder.close();
  });

  it('drops a transfer whose client has gone, and lets the holder free the blocks', async () => {
    await using slow = await startMocker(['--disaggregation-mode', 'decode', '--kv-transfer-bandwidth', '0.05']);
    const gone = new AbortController();
    // On the way to the holder: the client goes at the moment the claim is on its way.
    const way = net.createServer((reader) => {
      const holder = net.connect(p.sidePort, '127.0.0.1');
      for (const socket of [reader, holder]) socket.on('error', () => {});
      reader.once('data', () => gone.abort());
      reader.pipe(holder).pipe(reader);
    });
    way.listen(0, '127.0.0.1');
    await once(way, 'listening');
    const params = await prefill(p, freshPrompt());
    expect(await held(p)).toBeGreaterThan(0);
    params['remote_port'] = (way.address() as net.AddressInfo).port;
    const pending = slow.post(
      '/v1/completions',
      { prompt: freshPrompt(), kv_transfer_params: params },
      { headers: { 'content-type': 'application/json' }, signal: gone.signal },
    );
    await expect(pending).rejects.toThrow();
    await waitFor('it to be dropped', async () => (await held(slow)) === 0);
    await waitFor('the blocks to be freed', async () => (await held(p)) === 0);
    way.close();
  });
});

describe('leg 1', () => {
  it('keeps nothing when its client went away before the end', async () => {
    await using slow = await startMocker(['--disaggregation-mode', 'prefill', '--speedup-ratio', '0.02']);
    const gone = new AbortController();
    const pending = slow.post(
      '/v1/completions',
      { prompt: 'word '.repeat(15_000), max_tokens: 1, kv_transfer_params: LEG_1 },
      { headers: { 'content-type': 'application/json' }, signal: gone.signal },
    );
    pending.catch(() => {});
    await waitFor('it to run', async () => (await slow.metric('vllm:num_requests_running')) === 1);
    gone.abort();
    await waitFor('it to be dropped', async () => (await held(slow)) === 0);
    expect(await slow.metric('vllm:nixl_num_kv_expired_reqs_total')).toBe(0);
  });

  it('ignores parameters on an aggregated worker', async () => {
    await using plain = await startMocker(FAST);
    const body: StreamEvent = await readBody(
      await plain.post('/v1/completions', { prompt: 'x', max_tokens: 1, kv_transfer_params: LEG_1 }),
    );
    expect(body.kv_transfer_params).toBeNull();
    expect(await held(plain)).toBe(0);
  });
});
