import { describe, expect, it } from 'vitest';
import { type MockerProcess, readBody, readEvents, startMocker } from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

/** Starts a stream, by default one longer than any test, and waits until its tokens flow. */
async function openStream(mocker: MockerProcess, max_tokens = 20_000): Promise<Response> {
  const response = await mocker.post('/v1/chat/completions', {
    ...{ messages: [{ role: 'user', content: 'Tell me much.' }], max_tokens, stream: true },
  });
  await waitFor('tokens', async () => (await mocker.metric('vllm:generation_tokens_total')) > 2);
  return response;
}

describe('SIGTERM', () => {
  it('ends an idle worker with status 0, idle connections notwithstanding', async () => {
    await using mocker = await startMocker();
    await (await fetch(`${mocker.url}/health`)).text();
    mocker.child.kill('SIGTERM');
    expect(await mocker.exited).toBe(0);
  });

  it('aborts open streams and pending answers at once by default', async () => {
    await using mocker = await startMocker();
    const stream = await openStream(mocker);
    const whole = mocker.post('/v1/completions', { prompt: 'x', max_tokens: 20_000 });
    await waitFor('both to run', async () => (await mocker.metric('vllm:num_requests_running')) === 2);
    mocker.child.kill('SIGTERM');
    const events = await readEvents(stream);
    expect(events.at(-1)!.choices[0]!.finish_reason).toBe('abort');
    expect((await readBody(await whole)).choices[0]!.finish_reason).toBe('abort');
    expect(await mocker.exited).toBe(0);
  });

  it('takes a second SIGTERM, and SIGINT, without harm', async () => {
    await using mocker = await startMocker(['--shutdown-timeout', '120']);
    // Keeps it draining for as long as the test wants.
    const held = await openStream(mocker);
    const stream = await openStream(mocker, 60);
    mocker.child.kill('SIGTERM');
    await waitFor('it to drain', () => mocker.log().includes('draining'));
    mocker.child.kill('SIGTERM');
    mocker.child.kill('SIGINT');
    expect((await readEvents(stream)).at(-1)!.choices[0]!.finish_reason).toBe('length');
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
    await held.body!.cancel();
    expect(await mocker.exited).toBe(0);
  });

  it('lets requests finish within --shutdown-timeout and answers new ones with abort', async () => {
    await using mocker = await startMocker(['--shutdown-timeout', '120']);
    const held = await openStream(mocker);
    const stream = await openStream(mocker, 150);
    mocker.child.kill('SIGTERM');
    await waitFor('it to drain', () => mocker.log().includes('draining'));
    const late = await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 5 });
    const body = await readBody(late);
    expect([late.status, body.choices[0]!.finish_reason, body.choices[0]!.text]).toEqual([200, 'abort', '']);
    const lateStream = await readEvents(await mocker.post('/v1/completions', { prompt: 'x', stream: true }));
    expect(lateStream.map((event) => event.choices[0]!.finish_reason)).toEqual(['abort']);
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
    const events = await readEvents(stream);
    expect(events.at(-1)!.choices[0]!.finish_reason).toBe('length');
    await held.body!.cancel();
    expect(await mocker.exited).toBe(0);
  });

  it('aborts what is left when the timeout is over', async () => {
    await using mocker = await startMocker(['--shutdown-timeout', '0.2']);
    const stream = await openStream(mocker);
    mocker.child.kill('SIGTERM');
    expect((await readEvents(stream)).at(-1)!.choices[0]!.finish_reason).toBe('abort');
    expect(await mocker.exited).toBe(0);
  });

  it('keeps held blocks readable within the timeout', async () => {
    await using p = await startMocker(['--disaggregation-mode', 'prefill', '--shutdown-timeout', '120']);
    await using d = await startMocker(['--disaggregation-mode', 'decode']);
    const leg1 = await readBody(
      await p.post('/v1/completions', { prompt: 'x', max_tokens: 1, kv_transfer_params: { do_remote_decode: true } }),
    );
    p.child.kill('SIGTERM');
    await waitFor('it to drain', () => p.log().includes('draining'));
    const leg2 = await d.post('/v1/completions', {
      prompt: 'x',
      max_tokens: 2,
      kv_transfer_params: leg1.kv_transfer_params,
    });
    expect(leg2.status).toBe(200);
    expect(await p.exited).toBe(0);
  });

  it('ends a worker that is still starting', async () => {
    await using mocker = await startMocker(['--startup-time', '60'], { ready: false });
    await waitFor('it to load', () => mocker.log().includes('Loading safetensors'));
    mocker.child.kill('SIGTERM');
    expect(await mocker.exited).toBe(0);
  });

  it('does not wait for a client that never takes its bytes', async () => {
    await using mocker = await startMocker(['--speedup-ratio', '1000']);
    const stream = await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 100_000, stream: true });
    await waitFor('many tokens', async () => (await mocker.metric('vllm:generation_tokens_total')) > 20_000);
    mocker.child.kill('SIGTERM');
    expect(await mocker.exited).toBe(0);
    await stream.body?.cancel().catch(() => {});
  });
});
