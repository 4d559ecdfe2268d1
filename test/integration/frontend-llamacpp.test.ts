import { describe, expect, it } from 'vitest';
import { cutByStop, errorField, loading, onlyPings, pinged, whole } from '../fixtures/engines/llamacpp.ts';
import { startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';

const LLAMACPP = { engine: 'llamacpp', kvTransfer: null } as const;
const serve = async (script: WorkerScript, second?: WorkerScript) => {
  const workers = { 'worker-0': await startScriptedWorker(script) };
  if (second) Object.assign(workers, { 'worker-1': await startScriptedWorker(second) });
  return split(workers, {}, LLAMACPP);
};
const dataOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('data: ') && line !== 'data: [DONE]')
    .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[]; usage?: object });

describe('comments in a stream', () => {
  it('change nothing about what the client gets, wherever they stand', async () => {
    await using harness = await serve(pinged);
    const response = await harness.post({ stream: true, stream_options: { include_usage: true } }, undefined, {
      'x-request-id': 'pings',
    });
    const text = await response.text();
    expect(
      dataOf(text)
        .map(({ choices }) => choices[0]?.delta.content ?? '')
        .join(''),
    ).toBe('Hello');
    expect(dataOf(text).at(-1)?.usage).toMatchObject({ prompt_tokens: 12 });
    // Whatever is no data is a whole comment or a blank line.
    expect(text.split('\n').filter((line) => line !== '' && line !== ': ping' && !line.startsWith('data: '))).toEqual(
      [],
    );
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(await harness.ended('pings')).toMatchObject({ outcome: 'ok', tokens: 2, promptTokens: 12, cachedTokens: 5 });
    await idle(harness);
  });

  it('do not hide that nothing else came', async () => {
    await using harness = await serve(onlyPings);
    expect((await harness.post({ stream: true })).status).toBe(502);
  });

  it('do not hide a cut', async () => {
    await using harness = await serve(cutByStop);
    const text = await (await harness.post({ stream: true })).text();
    expect(text).toContain('Hel');
    expect(text).not.toContain('[DONE]');
    expect(text).toContain('"code":"upstream_error"');
  });

  it('nor an error under another field name', async () => {
    await using harness = await serve(errorField);
    const response = await harness.post({ stream: true });
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('secret');
  });
});

describe('an answer that is not streamed', () => {
  it('passes as it is; cached tokens come from its timings', async () => {
    await using harness = await serve(whole);
    const response = await harness.post({}, undefined, { 'x-request-id': 'whole' });
    expect(await response.json()).toMatchObject({ timings: { cache_n: 5 } });
    expect(await harness.ended('whole')).toMatchObject({ promptTokens: 12, cachedTokens: 5, tokens: 2 });
  });
});

describe('a worker that loads', () => {
  it('is passed over for another, and is no bad gateway when there is none', async () => {
    await using two = await serve(loading, whole);
    for (let index = 0; index < 4; index += 1) expect((await two.post({})).status).toBe(200);
    await using one = await serve(loading);
    const response = await one.post({});
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'no_instances' } });
  });
});
