import { describe, expect, it } from 'vitest';
import type { FrontendHarness } from '../helpers/frontend-harness.ts';
import {
  decodeScript,
  doneEvent,
  prefillScript,
  roleEvent,
  type ScriptedWorker,
  STREAM_END,
  STREAM_HEAD,
  sendBody,
  startScriptedWorker,
  streamOf,
  tokenEvent,
  type WorkerRequest,
  type WorkerScript,
} from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';
import { waitFor } from '../helpers/until.ts';

const HYBRID = { hybridKv: true };
const failedTransfers = (count: number): string =>
  `vllm:nixl_num_failed_transfers_total{engine="0",model_name="demo"} ${count}.0\n`;
const expired = (count: number): string =>
  `vllm:nixl_num_kv_expired_reqs_total{engine="0"} ${count}.0\nvllm:nixl_num_notifications_after_expiry_total{engine="0"} 0.0\n`;
const lateNotices = (count: number): string =>
  `vllm:nixl_num_kv_expired_reqs_total{engine="0"} 1.0\nvllm:nixl_num_notifications_after_expiry_total{engine="0"} ${count}.0\n`;

interface Health {
  status: string;
  stage: string | null;
  quarantinedPairs: { prefill: string; decode: string; reason: string; remainingMs: number }[];
}
const healthOf = async (harness: FrontendHarness) => (await (await fetch(`${harness.url}/health`)).json()) as Health;

describe('a failed transfer of a hybrid-KV model, which vLLM answers with 200 and wrong text', () => {
  /** Garbage from the first worker it is asked of, with its counter risen; right text from then on. */
  const failingOnce = (worker: () => ScriptedWorker): WorkerScript => {
    return (request, count) => {
      if (count === 0) {
        worker().metrics = failedTransfers(4);
        if (request.json['stream'] === true) request.socket.write(streamOf(['gar', 'bage']));
        else sendBody(request.socket, '{"choices":[{"message":{"content":"garbage"},"finish_reason":"stop"}]}');
      } else decodeScript(request, count);
    };
  };

  it.each([true, false])('is never shown (stream: %s): the pair rests, another one serves', async (stream) => {
    const prefill = await startScriptedWorker(prefillScript);
    const decodes: ScriptedWorker[] = [];
    for (let index = 0; index < 2; index += 1) {
      decodes.push(await startScriptedWorker(failingOnce(() => decodes[index]!)));
      decodes[index]!.metrics = failedTransfers(3);
    }
    // The second one has had its failure already.
    decodes[1]!.script = decodeScript;
    decodes[1]!.metrics = failedTransfers(9);
    const workers = { 'prefill-0': prefill, 'decode-0': decodes[0]!, 'decode-1': decodes[1]! };
    await using harness = await split(workers, {}, HYBRID);
    for (let index = 0; index < 4; index += 1) {
      const response = await harness.post({ stream });
      expect(response.status).toBe(200);
      const text = await response.text();
      expect(text).toContain('Hello');
      expect(text).not.toContain('gar');
    }
    expect(decodes[0]!.requests).toHaveLength(1);
    expect(await harness.metric('dynamo_frontend_kv_transfer_doubts_total', 'reason="failed_transfer"')).toBe(1);
    expect(await harness.metric('dynamo_frontend_quarantined_pairs')).toBe(1);
    const health = await healthOf(harness);
    expect(health).toMatchObject({
      status: 'ready',
      quarantinedPairs: [{ prefill: 'prefill-0', decode: 'decode-0', reason: 'a KV transfer failed' }],
    });
    expect(harness.log.find((line) => line['reason'] === 'failed_transfer')).toMatchObject({
      level: 40,
      prefillWorker: 'prefill-0',
      worker: 'decode-0',
    });
    await idle(harness);
  });

  it('fails the request when the only pair is the one, and the model is not ready while it rests', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode: ScriptedWorker = await startScriptedWorker(failingOnce(() => decode));
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, HYBRID);
    const response = await harness.post({ stream: true });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'no_instances' } });
    expect([prefill.requests.length, decode.requests.length]).toEqual([1, 1]);
    expect(await healthOf(harness)).toMatchObject({
      status: 'not_ready',
      stage: 'demo: every pair of prefill and decode workers is quarantined',
    });
    expect((await harness.post({ stream: true })).status).toBe(503);
    await idle(harness);
  });

  it('serves with the pair again when it has rested', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode: ScriptedWorker = await startScriptedWorker(failingOnce(() => decode));
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, { kvQuarantineMs: 700 }, HYBRID);
    const response = await harness.post({ stream: true });
    // It may have rested by the next try already.
    expect(await response.text()).not.toContain('gar');
    expect(await harness.metric('dynamo_frontend_kv_transfer_doubts_total', 'reason="failed_transfer"')).toBe(1);
    await waitFor('the quarantine to end', async () => (await healthOf(harness)).status === 'ready');
    expect(await (await harness.post({ stream: true })).text()).toContain('Hello');
    await idle(harness);
  });

  it('lets a restarted decode worker take requests again at once', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode: ScriptedWorker = await startScriptedWorker(failingOnce(() => decode));
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, HYBRID);
    expect((await harness.post({})).status).toBe(503);
    await using restarted = await startScriptedWorker(decodeScript);
    await harness.publish('decode-0', restarted, { ...HYBRID, generation: 2 });
    expect((await harness.post({})).status).toBe(200);
    expect((await healthOf(harness)).quarantinedPairs).toEqual([]);
  });

  it('ends a stream with an error when the counter rises only after content has gone out', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    let open: WorkerRequest | undefined;
    const decode = await startScriptedWorker((request) => {
      open = request;
      request.socket.write(STREAM_HEAD + roleEvent + tokenEvent('Hel'));
    });
    decode.metrics = failedTransfers(0);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, HYBRID);
    const response = await harness.post({ stream: true }, undefined, { 'x-request-id': 'late-rise' });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('Hel')) text += (await reader.read()).value;
    decode.metrics = failedTransfers(1);
    open!.socket.write(tokenEvent('lo') + tokenEvent('', 'stop') + doneEvent + STREAM_END);
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    expect(text).not.toContain('"stop"');
    expect(text).not.toContain('[DONE]');
    const last = text.trimEnd().split('\n\n').at(-1)!;
    expect(JSON.parse(last.slice(6))).toMatchObject({ error: { code: 'upstream_error' } });
    expect(await harness.ended('late-rise')).toMatchObject({ outcome: 'failed', status: 502 });
    expect((await healthOf(harness)).quarantinedPairs).toHaveLength(1);
    await idle(harness);
  });

  it('shows nothing when the counters cannot be read, and does not blame the pair', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    decode.metrics = undefined;
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, HYBRID);
    expect((await harness.post({ stream: true })).status).toBe(502);
    expect(decode.requests).toHaveLength(0);
    expect((await healthOf(harness)).quarantinedPairs).toEqual([]);
    decode.metrics = '';
    expect((await harness.post({ stream: true })).status).toBe(200);
  });

  it('costs nothing where it is not asked for: other models, other modes', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using plain = await split({ 'prefill-0': prefill, 'decode-0': decode });
    expect(await (await plain.post({ stream: true })).text()).toContain('Hello');
    expect([prefill.readings, decode.readings]).toEqual([0, 0]);
    const prefill2 = await startScriptedWorker(prefillScript);
    const decode2 = await startScriptedWorker(decodeScript);
    await using off = await split({ 'prefill-0': prefill2, 'decode-0': decode2 }, { kvTransferGuard: 'off' }, HYBRID);
    expect(await (await off.post({ stream: true })).text()).toContain('Hello');
    expect(decode2.readings).toBe(0);
    const prefill3 = await startScriptedWorker(prefillScript);
    const decode3 = await startScriptedWorker(decodeScript);
    await using always = await split({ 'prefill-0': prefill3, 'decode-0': decode3 }, { kvTransferGuard: 'always' });
    expect(await (await always.post({ stream: true })).text()).toContain('Hello');
    expect(decode3.readings).toBe(3);
  });

  it('knows hybrid models by name where their records do not say', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split(
      { 'prefill-0': prefill, 'decode-0': decode },
      {},
      { model: 'openai/gpt-oss-120b' },
    );
    expect((await harness.post({ model: 'openai/gpt-oss-120b' })).status).toBe(200);
    expect(decode.readings).toBeGreaterThan(0);
  });

  it('shares readings among requests that run at once', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, HYBRID);
    const answers = await Promise.all(Array.from({ length: 40 }, () => harness.post({ stream: true })));
    for (const answer of answers) expect(await answer.text()).toContain('world');
    expect(decode.readings).toBeLessThan(40);
    await idle(harness);
  });
});

describe('a second leg that begins to answer after the prefill worker’s lease', () => {
  /** So long that an answer which nothing holds up is never late. */
  const LEASE_MS = 3_000;
  /** A decode worker whose first answer waits until `late` is called with what the prefill worker counts by then. */
  const slowOnce = async (leaseMs: number) => {
    const prefill = await startScriptedWorker(prefillScript);
    prefill.metrics = expired(0);
    let first: WorkerRequest | undefined;
    const decode = await startScriptedWorker((request, count) => {
      if (count === 0) first = request;
      else decodeScript(request, count);
    });
    const harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, { kvLeaseMs: leaseMs });
    return {
      prefill,
      decode,
      harness,
      /** Answers the first leg 2 once the lease is over and the counters before that have been read. */
      async answer(metrics: string | undefined, afterBaseline = true) {
        const request = await waitFor('leg 2', () => first);
        const arrivedMs = performance.now();
        if (afterBaseline) await waitFor('the counters to be read', () => prefill.readings > 0);
        await waitFor('the lease to end', () => performance.now() - arrivedMs > leaseMs);
        prefill.metrics = metrics;
        decodeScript({ ...request, json: { ...request.json } } as WorkerRequest, 0);
      },
    };
  };

  it.each([
    ['kept blocks have expired', expired(1)],
    ['a reader was done after the expiry', lateNotices(1)],
    ['its counters cannot be read', undefined],
  ])('is thrown away and begun again at leg 1 when %s', async (_, metrics) => {
    const slow = await slowOnce(LEASE_MS);
    await using harness = slow.harness;
    const answer = harness.post({ stream: true });
    await slow.answer(metrics);
    await waitFor('leg 1 again', () => slow.prefill.requests.length === 2);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('Hello');
    expect(slow.decode.requests).toHaveLength(2);
    expect(await harness.metric('dynamo_frontend_kv_transfer_doubts_total')).toBe(1);
    expect((await healthOf(harness)).quarantinedPairs).toEqual([]);
    await idle(harness);
  });

  it('is shown when the prefill worker has nothing against it', async () => {
    const slow = await slowOnce(LEASE_MS);
    await using harness = slow.harness;
    const answer = harness.post({ stream: true });
    await slow.answer(expired(0));
    expect(await (await answer).text()).toContain('Hello');
    expect([slow.prefill.requests.length, slow.decode.requests.length]).toEqual([1, 1]);
    // Before the lease ended, before the first content, before the end.
    expect(slow.prefill.readings).toBe(3);
  });

  it('is thrown away when the prefill worker was started anew meanwhile', async () => {
    const slow = await slowOnce(LEASE_MS);
    await using harness = slow.harness;
    const answer = harness.post({});
    await waitFor('the counters to be read', () => slow.prefill.readings > 0);
    slow.prefill.processStart += 1;
    await slow.answer(expired(0));
    expect((await answer).status).toBe(200);
    expect(slow.prefill.requests).toHaveLength(2);
  });
});
