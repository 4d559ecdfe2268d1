import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { probeInstance } from '../../src/frontend/instances/instance-probe.ts';
import { readTransferCounters } from '../../src/frontend/transfer/transfer-counters.ts';
import { ConnectionPool } from '../../src/frontend/upstream/connection-pool.ts';
import { fetchWhole } from '../../src/frontend/upstream/fetch-whole.ts';
import { meetingPair } from '../fixtures/engines/sglang.ts';
import { startHarness } from '../helpers/frontend-harness.ts';
import { makeInstance } from '../helpers/instance.ts';
import { type MockerProcess, startMocker } from '../helpers/mocker-process.ts';
import {
  decodeScript,
  PROCESS_START,
  prefillScript,
  sendBody,
  startScriptedWorker,
} from '../helpers/scripted-worker.ts';
import { waitFor } from '../helpers/until.ts';

const FIELDS = { processStart: null };

/** A stopped process whose queue of connections is full: its kernel drops every packet that asks for one, as a cut cable does. */
async function silence(worker: MockerProcess): Promise<AsyncDisposable> {
  worker.child.kill('SIGSTOP');
  const open: net.Socket[] = [];
  const connects = (timeout: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = net.connect({ host: '127.0.0.1', port: worker.port, timeout });
      open.push(socket);
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      // This process may have stood still, with the answer unread.
      socket.once('timeout', () => setTimeout(() => resolve(false), 50));
    });
  await waitFor('its queue to be full', async () => {
    const taken = await Promise.all(Array.from({ length: 200 }, () => connects(300)));
    if (!taken.includes(false)) return false;
    // A busy machine may have been late with one.
    const more = await Promise.all(Array.from({ length: 5 }, () => connects(1_500)));
    return !more.includes(true);
  });
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      worker.child.kill('SIGCONT');
    },
  };
}

const suspects = async (url: string): Promise<Record<string, { why: string; forMs: number } | null>> => {
  const health = (await (await fetch(`${url}/health`)).json()) as {
    instances: { name: string; suspicion: { why: string; forMs: number } | null }[];
  };
  return Object.fromEntries(health.instances.map(({ name, suspicion }) => [name, suspicion]));
};

describe('a worker whose machine falls silent', () => {
  it('loses the requests that wait for it to another one, and gets new ones when it answers again', async () => {
    await using harness = await startHarness();
    await using silent = await startMocker();
    await using other = await startScriptedWorker(({ socket }) =>
      sendBody(socket, '{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'),
    );
    await harness.publish('mocker-0', { ...other, url: silent.url }, FIELDS);
    expect((await harness.post({ max_tokens: 2 })).status).toBe(200);
    {
      await using _ = await silence(silent);
      // Nobody else: it waits.
      const waits = harness.post({ max_tokens: 2 });
      await waitFor('it to be suspect', async () => (await suspects(harness.url))['mocker-0']?.why === 'silent');
      // Somebody else: it moves.
      await harness.publish('other-0', other, FIELDS);
      const answer = await waits;
      expect([answer.status, answer.headers.get('x-dynamo-worker')]).toEqual([200, 'other-0']);
      expect(await harness.metric('dynamo_frontend_upstream_retries_total', 'reason="silent"')).toBe(1);
      for (let request = 0; request < 4; request += 1)
        expect((await harness.post({})).headers.get('x-dynamo-worker')).toBe('other-0');
      expect(await harness.metric('dynamo_frontend_router_workers', 'state="suspect"')).toBe(1);
    }
    await waitFor('it to be trusted', async () => (await suspects(harness.url))['mocker-0'] === null);
    const served = await Promise.all([1, 2, 3, 4].map(async () => (await harness.post({ max_tokens: 2 })).headers));
    expect(served.map((headers) => headers.get('x-dynamo-worker'))).toContain('mocker-0');
    expect(harness.log.filter(({ msg }) => msg === 'the worker answers again')).toMatchObject([{ why: 'silent' }]);
  });

  it('starts a request over when the machine is that of its KV cache', async () => {
    await using harness = await startHarness();
    await using silent = await startMocker(['--disaggregation-mode', 'prefill']);
    await using prefill = await startScriptedWorker(prefillScript);
    let asked = 0;
    // The decode worker itself is well: it waits for blocks, and its kernel answers.
    await using decode = await startScriptedWorker((request, count) => {
      asked += 1;
      if (asked > 1) decodeScript(request, count);
    });
    await harness.publish('prefill-0', { ...prefill, url: silent.url }, FIELDS);
    await harness.publish('decode-0', decode, FIELDS);
    const answer = harness.post({});
    await waitFor('leg 2 to wait', () => decode.requests.length === 1);
    await using _ = await silence(silent);
    await harness.publish('prefill-1', prefill, FIELDS);
    const response = await answer;
    expect([response.status, response.headers.get('x-dynamo-prefill-worker')]).toEqual([200, 'prefill-1']);
    expect((await suspects(harness.url))['decode-0']).toBeNull();
  });

  it('ends both legs that run at once, and another pair takes the request', async () => {
    const aborts = { prefill: [], decode: [] };
    const scripts = meetingPair(aborts);
    await using harness = await startHarness();
    await using silent = await startMocker();
    await using prefill = await startScriptedWorker(scripts.prefill);
    await using decode = await startScriptedWorker(scripts.decode);
    const sglang = {
      ...FIELDS,
      engine: 'sglang',
      kvTransfer: 'sglang-bootstrap',
      bootstrap: { host: '10.0.0.7', port: 8998 },
    } as const;
    await harness.publish('prefill-0', { ...prefill, url: silent.url }, sglang);
    await harness.publish('prefill-1', prefill, sglang);
    await harness.publish('decode-0', decode, sglang);
    await using _ = await silence(silent);
    const answers = await Promise.all([true, false, true, false].map((stream) => harness.post({ stream })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ headers }) => headers.get('x-dynamo-prefill-worker')))).toEqual(
      new Set(['prefill-1']),
    );
    for (const answer of answers) expect(await answer.text()).toContain('Hello');
    expect(await harness.metric('dynamo_frontend_upstream_retries_total')).toBeGreaterThan(0);
  });

  it('is not one that is stopped for a while, nor one that takes long to its first token', async () => {
    await using harness = await startHarness();
    await using stopped = await startMocker();
    await using slow = await startScriptedWorker(({ socket }) => {
      setTimeout(() => sendBody(socket, '{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'), 4_000);
    });
    await harness.publish('mocker-0', { ...slow, url: stopped.url }, FIELDS);
    await harness.publish('slow-0', slow, FIELDS);
    stopped.child.kill('SIGSTOP');
    const answers = [1, 2, 3, 4].map(() => harness.post({ max_tokens: 2 }));
    await waitFor('the slow answers', () => slow.requests.length === 2);
    const both = Promise.all(answers);
    await Promise.race([both, waitFor('slow ones to be over', () => harness.frontend.context.active.size === 2)]);
    expect(Object.values(await suspects(harness.url))).toEqual([null, null]);
    stopped.child.kill('SIGCONT');
    expect((await both).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await harness.metric('dynamo_frontend_upstream_retries_total')).toBe(0);
    expect(harness.log.filter(({ msg }) => String(msg).includes('nothing comes'))).toEqual([]);
  });
});

describe('a frontend that stands still', () => {
  const standStill = (ms: number): void => {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs);
  };

  it('holds it against no worker: neither a connection nor an answer that it has not looked at is late', async () => {
    await using worker = await startScriptedWorker(decodeScript);
    const stop = new AbortController();
    const pool = new ConnectionPool({
      ...{ idleTimeoutMs: 3_500, connectTimeoutMs: 2_500, silenceTimeoutMs: 2_500, signal: stop.signal },
    });
    const origin = { authority: `127.0.0.1:${worker.port}`, hostname: '127.0.0.1', port: worker.port };
    const head = `POST /v1/completions HTTP/1.1\r\nhost: ${origin.authority}\r\ncontent-length: 2\r\n\r\n`;
    const ask = () =>
      fetchWhole(pool, { origin, head, body: Buffer.from('{}'), resendIfStale: false }, 10_000, () => {});
    const first = ask();
    standStill(3_500);
    expect((await first).head.status).toBe(200);
    // Now the connection is there, and the answer comes while nobody reads.
    const second = ask();
    await waitFor('it to arrive', () => worker.requests.length === 2);
    standStill(3_500);
    expect((await second).head.status).toBe(200);
    const instance = makeInstance('decode-0', 1, { model: 'demo', processStart: PROCESS_START });
    const isItself = probeInstance(pool, instance, origin, 1_000);
    standStill(1_500);
    expect(await isItself).toBeUndefined();
    const counters = readTransferCounters(pool, origin, 1_000);
    standStill(1_500);
    expect(await counters).toMatchObject({ processStart: PROCESS_START });
    stop.abort();
  });
});

describe('an answer that has begun on a machine that never comes back', () => {
  it('ends with an error', async () => {
    await using worker = await startScriptedWorker(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nhalf');
    });
    const stop = new AbortController();
    const silent: string[] = [];
    const pool = new ConnectionPool({
      ...{ idleTimeoutMs: 3_500, connectTimeoutMs: 5_000, silenceTimeoutMs: 0, signal: stop.signal },
      silence: {
        knock: () => ({ isOut: true, end() {} }),
        doubted() {},
        silent: ({ authority }) => void silent.push(authority),
        isAvoided: () => true,
        hasOther: () => true,
        giveUpMs: 3_000,
      },
    });
    const origin = { authority: `127.0.0.1:${worker.port}`, hostname: '127.0.0.1', port: worker.port };
    const head = `POST /v1/completions HTTP/1.1\r\nhost: ${origin.authority}\r\ncontent-length: 2\r\n\r\n`;
    const request = { origin, head, body: Buffer.from('{}'), resendIfStale: false, isMovable: true };
    const answer = fetchWhole(pool, request, 1_000, (exchange) => {
      exchange.isForwarding = true;
    });
    await expect(answer).rejects.toMatchObject({
      reason: 'silent',
      message: `nothing from ${origin.authority} for 3 s`,
    });
    expect(silent).toEqual([origin.authority]);
    stop.abort();
  });
});
