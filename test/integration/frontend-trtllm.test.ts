import { describe, expect, it } from 'vitest';
import {
  context,
  contextWithoutState,
  fatal,
  finishedInContext,
  generation,
  PROMPT_IDS,
  STATE,
} from '../fixtures/engines/trtllm.ts';
import { startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';

const TRTLLM = { engine: 'trtllm', kvTransfer: 'trtllm-context-first' } as const;

async function startPair(prefillScript: WorkerScript, options: Parameters<typeof split>[1] = {}) {
  const prefill = await startScriptedWorker(prefillScript);
  const decode = await startScriptedWorker(generation);
  const harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, options, TRTLLM);
  return { prefill, decode, harness };
}

describe('context first', () => {
  it('carries state and ids as bytes, and the prompt as token ids', async () => {
    const { prefill, decode, harness } = await startPair(context);
    await using _ = harness;
    const whole = await harness.post({ max_tokens: 9 });
    expect(await whole.json()).toMatchObject({
      choices: [{ message: { content: 'Hello' } }],
      usage: { prompt_tokens_details: { cached_tokens: 2 } },
    });
    expect(await (await harness.post({ stream: true })).text()).toContain('llo');
    const leg1 = prefill.requests[0]!;
    expect(leg1.json).toMatchObject({
      stream: false,
      max_tokens: 9,
      disaggregated_params: { request_type: 'context_only' },
    });
    const id = /"disagg_request_id":(\d+)/.exec(leg1.body.toString())![1]!;
    expect(BigInt(id)).toBeGreaterThanOrEqual(1n << 40n);
    expect(BigInt(id)).toBeLessThan(1n << 63n);
    const leg2 = decode.requests[0]!.body.toString();
    expect(leg2).toContain(`"disaggregated_params":{${STATE},"request_type":"generation_only"}`);
    expect(leg2).toContain(`"prompt_token_ids":${PROMPT_IDS}`);
    await idle(harness);
  });

  it.each([true, false])('answers from leg 1 when generation ended there (stream: %s)', async (stream) => {
    const { decode, harness } = await startPair(finishedInContext);
    await using _ = harness;
    const response = await harness.post({ stream, stream_options: stream ? { include_usage: true } : undefined });
    expect(response.headers.get('x-dynamo-prefill-worker')).toBe('prefill-0');
    const text = await response.text();
    expect(text).not.toMatch(/disaggregated_params|prompt_token_ids/);
    if (stream) {
      const events = text
        .trimEnd()
        .split('\n\n')
        .map((line) => line.slice(6));
      expect(events).toHaveLength(3);
      expect(JSON.parse(events[0]!)).toMatchObject({
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'He' }, finish_reason: 'stop' }],
      });
      expect(JSON.parse(events[1]!)).toMatchObject({ choices: [], usage: { completion_tokens: 1 } });
      expect(events[2]).toBe('[DONE]');
    } else expect(JSON.parse(text)).toMatchObject({ choices: [{ message: { content: 'He' }, finish_reason: 'stop' }] });
    expect(decode.requests).toEqual([]);
    await idle(harness);
  });

  it.each([
    ['no state', contextWithoutState],
    ['a fatal error', fatal],
  ])('%s in leg 1: 503, or the generation server does it all and says so', async (_name, script) => {
    const strict = await startPair(script);
    await using _ = strict.harness;
    expect((await strict.harness.post({})).status).toBe(503);
    expect(strict.decode.requests).toEqual([]);
    const lenient = await startPair(script, { decodeFallback: true });
    await using _2 = lenient.harness;
    const response = await lenient.harness.post({});
    expect(response.headers.get('x-dynamo-local-prefill')).toMatch(/^prefill_/);
    expect(lenient.decode.requests[0]!.json).not.toHaveProperty('disaggregated_params');
  });

  it('serves whole what cannot be split, and reads no vLLM counters', async () => {
    const { prefill, decode, harness } = await startPair(context, { kvTransferGuard: 'always', kvLeaseMs: 0 });
    await using _ = harness;
    expect((await harness.post({ n: 2 })).headers.get('x-dynamo-local-prefill')).toBe('unsplit_n');
    expect((await harness.post({})).status).toBe(200);
    expect([prefill.readings, decode.readings]).toEqual([0, 0]);
  });

  it('drops parameters that a caller brings', async () => {
    const { decode, harness } = await startPair(context);
    await using _ = harness;
    await harness.post({
      n: 2,
      disaggregated_params: { request_type: 'generation_only', encoded_opaque_state: 'evil' },
    });
    expect(decode.requests[0]!.body.toString()).not.toContain('evil');
  });
});
