import { chmodSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

/**
 * Prefill and decode deployments of engines that need GPUs, whole: serve → pair proof → frontend → stream → stop. The engines are
 * wire-level fakes that run as programs of their own; everything else is the product.
 */

const program = (name: string): string =>
  path.join(packageRoot, 'test', 'fixtures', 'engines', 'servers', `${name}.ts`);

interface Faults {
  prefill?: string;
  decode?: string;
  loadingMs?: number;
  lease?: string;
  /** Data-parallel ranks of each worker (SGLang). */
  ranks?: number;
}

function recipe(engine: 'sglang' | 'trtllm', faults: Faults): string {
  const { ranks = 1 } = faults;
  const shape = ranks > 1 ? `, tp-size: ${ranks}, dp-size: ${ranks}, enable-dp-attention: true` : '';
  const group = (role: 'prefill' | 'decode') => `
  ${role}:
    gpus: ${ranks}
    command: ['${process.execPath}', '${program(engine)}']
    env: { DYNAMO_FLAG_CHECK: 'off', FAKE_FAULTS: '${faults[role] ?? ''}', FAKE_LOADING_MS: '${faults.loadingMs ?? 0}' }
    args: {${engine === 'sglang' ? ` page-size: 16${shape} ` : ''}}
    restart: { policy: on-failure, initialBackoff: 50ms }`;
  return `name: fake
model: org/demo
servedModelName: demo
engine: ${engine}
frontend: { port: auto }
kvTransfer: { lease: ${faults.lease ?? '20s'} }
workers:${group('prefill')}${group('decode')}
`;
}

/** A sandbox on a machine with four GPUs, as far as `nvidia-smi` can tell. */
function sandbox(): Sandbox {
  const box = new Sandbox();
  const smi = box.file(
    'nvidia-smi',
    '#!/bin/sh\nfor gpu in 0 1 2 3; do echo "$gpu, GPU-0000-$gpu, 81559, 0, NVIDIA H100 80GB HBM3"; done\n',
  );
  chmodSync(smi, 0o755);
  box.env['PATH'] = `${path.dirname(smi)}:${process.env['PATH']}`;
  return box;
}

const PROMPT = Array.from({ length: 80 }, (_, index) => `word${index}`).join(' ');

async function stream(endpoint: string): Promise<{ status: number; text: string; cached: number | null; raw: string }> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'demo',
      messages: [{ role: 'user', content: PROMPT }],
      max_tokens: 12,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  const raw = await response.text();
  const events = raw
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as StreamEvent);
  const usage = events.find((event) => event.usage)?.usage;
  return {
    status: response.status,
    text: events.map((event) => event.choices?.[0]?.delta?.content ?? '').join(''),
    cached: usage?.prompt_tokens_details?.cached_tokens ?? null,
    raw,
  };
}

interface StreamEvent {
  choices?: { delta?: { content?: string } }[];
  usage?: { prompt_tokens_details?: { cached_tokens?: number } };
}

async function whole(endpoint: string): Promise<{ text: string; cached: number | null }> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: PROMPT }], max_tokens: 12 }),
  });
  const body = (await response.json()) as {
    choices: { message: { content: string } }[];
    usage: { prompt_tokens_details?: { cached_tokens?: number } };
  };
  return {
    text: body.choices[0]!.message.content,
    cached: body.usage.prompt_tokens_details?.cached_tokens ?? null,
  };
}

describe.each(['sglang', 'trtllm'] as const)('%s with prefill and decode workers', (engine) => {
  const cachedOnce = engine === 'sglang' ? 80 : 64;

  it('starts once its pair is proven, streams, tells cached tokens of leg 1, and stops without a trace', async () => {
    await using box = sandbox();
    const serve = box.start('serve', box.file('recipe.yaml', recipe(engine, { loadingMs: 400 })));
    const { pairs, endpoint } = await box.ready('fake', 60_000);
    expect(pairs).toEqual([
      { prefill: 'prefill-0', decode: 'decode-0', state: 'proven', detail: expect.stringMatching(/ moved$/) as string },
    ]);
    const first = await stream(endpoint);
    expect(first.status).toBe(200);
    expect(first.text.split(' ').length).toBe(13);
    // What the prefill worker found in its cache, streamed or whole; the decode worker has none of its own to tell of.
    expect(await stream(endpoint)).toMatchObject({ text: first.text, cached: cachedOnce });
    expect(await whole(endpoint)).toEqual({ text: first.text, cached: cachedOnce });
    expect((await box.run('stop', 'fake')).code).toBe(0);
    expect(await serve.exited).toBe(0);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  const silent: [string, Faults, RegExp][] =
    engine === 'sglang'
      ? [
          ['no counter moves', { prefill: 'counter-flat' }, /no KV page was sent/],
          ['decode answers garbage with 200', { decode: 'garbage', lease: '1s' }, /KVPoll\.Bootstrapping/],
          ['one of its ranks does not transfer', { prefill: 'last-rank-flat', ranks: 2 }, /prefill rank 1.*no KV page/],
          ['nobody comes to the room', { prefill: 'no-meeting', lease: '1s' }, /leg answered 500/],
        ]
      : [
          ['no counter moves', { decode: 'counter-flat' }, /reports no KV cache that was received/],
          ['decode ignores the state', { decode: 'ignores-state' }, /reports no KV cache that was received/],
          ['the context server makes no state', { prefill: 'no-state' }, /no disaggregated_params/],
        ];

  it.each(silent)('never admits a request when %s', async (_, faults, message) => {
    await using box = sandbox();
    const serve = box.start('serve', box.file('recipe.yaml', recipe(engine, faults)));
    expect(await serve.exited).toBe(5);
    expect(serve.stderr).toContain('[KV_PATH_FAILED]');
    expect(serve.stderr).toMatch(message);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});

it('an SGLang worker with data-parallel ranks starts once each rank has handed over, and serves by all of them', async () => {
  await using box = sandbox();
  const serve = box.start('serve', box.file('recipe.yaml', recipe('sglang', { ranks: 2 })));
  const { pairs, endpoint } = await box.ready('fake', 60_000);
  expect(pairs.map(({ state }) => state)).toEqual(['proven']);
  const texts = await Promise.all(Array.from({ length: 6 }, () => stream(endpoint).then(({ text }) => text)));
  expect(new Set(texts).size).toBe(1);
  const { stdout } = await box.run('doctor', 'kv-path', 'fake', '--json');
  expect(stdout).toContain('prefill rank 1 → decode rank 1: ');
  expect((await box.run('stop', 'fake')).code).toBe(0);
  expect(await serve.exited).toBe(0);
});
