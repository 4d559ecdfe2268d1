import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { readBody, readEvents, startMocker } from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

const FAST = ['--speedup-ratio', '20'];

function refused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

describe('scripted faults', () => {
  it('fails at start with its message', async () => {
    await using mocker = await startMocker(['--fault', 'fail-start:CUDA out of memory. Tried to allocate 2 GiB'], {
      ready: false,
    });
    expect(await mocker.exited).toBe(1);
    expect(mocker.log()).toContain('Loading weights');
    expect(mocker.log()).toContain('CUDA out of memory. Tried to allocate 2 GiB');
  });

  it('exits some time after it was ready, with the status asked for', async () => {
    await using mocker = await startMocker(['--fault', 'exit-after:0.1:37']);
    expect(await mocker.exited).toBe(37);
  });

  it('hangs: accepts connections, answers nothing, does not hear SIGTERM', async () => {
    await using mocker = await startMocker(['--fault', 'hang-after:0']);
    await waitFor('it to hang', () => mocker.log().includes('hanging now'));
    const answer = await fetch(`${mocker.url}/health`, { signal: AbortSignal.timeout(300) }).catch(
      (error) => error.name,
    );
    expect(answer).toBe('TimeoutError');
    mocker.child.kill('SIGTERM');
    const first = await Promise.race([mocker.exited, new Promise((resolve) => setTimeout(resolve, 300, 'alive'))]);
    expect(first).toBe('alive');
    mocker.child.kill('SIGKILL');
    expect(await mocker.exited).toBe('SIGKILL');
  });

  it('starts slowly, saying what it does, and refuses connections until it is ready', async () => {
    await using mocker = await startMocker(['--fault', 'slow-start:0.4', '--startup-time', '0.1'], { ready: false });
    // Another one that takes longer than the test to look at it.
    await using slower = await startMocker(['--fault', 'slow-start:600'], { ready: false });
    await waitFor('it to load', () => slower.log().includes('Loading safetensors checkpoint shards'));
    expect(await refused(slower.port)).toBe(true);
    await waitFor('it to be ready', () => mocker.log().includes('Application startup complete.'));
    expect(mocker.log()).toContain('Loading safetensors checkpoint shards');
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
  });

  it('never gets ready, and can be stopped', async () => {
    await using mocker = await startMocker(['--fault', 'never-ready'], { ready: false });
    await waitFor('it to load', () => mocker.log().includes('still loading'));
    expect(await refused(mocker.port)).toBe(true);
    mocker.child.kill('SIGTERM');
    expect(await mocker.exited).toBe(0);
  });

  it('ignores SIGTERM', async () => {
    await using mocker = await startMocker(['--fault', 'ignore-sigterm']);
    mocker.child.kill('SIGTERM');
    await waitFor('it to say so', () => mocker.log().includes('signal ignored'));
    expect((await fetch(`${mocker.url}/health`)).status).toBe(200);
  });

  it('fails a request after so many tokens, streamed or not', async () => {
    await using mocker = await startMocker([...FAST, '--fault', 'error-after-tokens:3']);
    const stream = await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 9, stream: true });
    const events = await readEvents(stream);
    expect([stream.status, events.length, events.at(-1)!.error?.code]).toEqual([200, 4, 500]);
    const whole = await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 9 });
    expect([whole.status, (await readBody(whole)).error?.type]).toEqual([500, 'InternalServerError']);
    const short = await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 3 });
    expect(short.status).toBe(200);
    expect(await mocker.metric('vllm:kv_cache_usage_perc')).toBe(0);
  });

  it('dies at the so-manieth request', async () => {
    await using mocker = await startMocker([...FAST, '--fault', 'crash-on-request:2']);
    expect((await mocker.post('/v1/completions', { prompt: 'x', max_tokens: 1 })).status).toBe(200);
    await expect(mocker.post('/v1/completions', { prompt: 'x', max_tokens: 1 })).rejects.toThrow();
    expect(await mocker.exited).toBe('SIGKILL');
  });

  it('does several things wrong at once', async () => {
    await using mocker = await startMocker(['--fault', 'ignore-sigterm', '--fault', 'exit-after:0.2:3']);
    mocker.child.kill('SIGTERM');
    expect(await mocker.exited).toBe(3);
  });

  it.each(['nonsense', 'exit-after', 'exit-after:x', 'hang-after:-1', 'never-ready:1'])(
    'refuses --fault %s, naming those there are',
    async (spec) => {
      await using mocker = await startMocker(['--fault', spec], { ready: false });
      expect(await mocker.exited).toBe(2);
      expect(mocker.log()).toContain('refuse-transfer');
    },
  );

  describe.each(['prefill', 'decode'])('about transfers on the %s worker', (where) => {
    const pair = async (fault: string) => {
      const args = (role: string) => [
        ...[...FAST, '--disaggregation-mode', role],
        ...(role === where ? ['--fault', fault] : []),
      ];
      const [p, d] = await Promise.all([startMocker(args('prefill')), startMocker(args('decode'))]);
      const prompt = 'A prompt of two blocks at least. '.repeat(20);
      const leg1 = await readBody(
        await p.post('/v1/completions', { prompt, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } }),
      );
      expect(leg1.kv_transfer_params).toBeTruthy();
      const leg2 = await d.post('/v1/completions', {
        prompt,
        max_tokens: 4,
        kv_transfer_params: leg1.kv_transfer_params,
      });
      const plain = await readBody(await p.post('/v1/completions', { prompt, max_tokens: 4 }));
      return { p, d, leg2, plain };
    };

    it('refuses them', async () => {
      const { p, d, leg2 } = await pair('refuse-transfer');
      await using _ = p;
      await using __ = d;
      expect(leg2.status).toBe(500);
      expect(await d.metric('vllm:nixl_num_failed_transfers_total')).toBe(1);
    });

    it('lies about them: all looks well, nothing moves, no counter either', async () => {
      const { p, d, leg2, plain } = await pair('lie-about-transfer');
      await using _ = p;
      await using __ = d;
      expect(leg2.status).toBe(200);
      expect((await readBody(leg2)).choices[0]!.text).toBe(plain.choices[0]!.text);
      for (const name of [
        'nixl_xfer_time_seconds_count',
        'external_prefix_cache_hits_total',
        'nixl_num_failed_transfers_total',
      ]) {
        expect([name, await d.metric(`vllm:${name}`)]).toEqual([name, 0]);
      }
    });
  });
});

describe('start-up', () => {
  it('names the taken port like an engine does, the HTTP one and the side channel’s', async () => {
    await using first = await startMocker(['--disaggregation-mode', 'prefill']);
    const line = (port: number) =>
      `[Errno 98] error while attempting to bind on address ('127.0.0.1', ${port}): address already in use`;
    await using http = await startMocker([], { ready: false, port: first.port });
    expect(await http.exited).toBe(1);
    expect(http.log()).toContain(line(first.port));
    await using loading = await startMocker(['--startup-time', '60'], { ready: false, port: first.port });
    expect(await loading.exited).toBe(1);
    await using side = await startMocker(['--disaggregation-mode', 'decode'], {
      ready: false,
      sidePort: first.sidePort,
    });
    expect(await side.exited).toBe(1);
    expect(side.log()).toContain(line(first.sidePort));
  });

  it('refuses a context that its KV cache cannot hold', async () => {
    await using mocker = await startMocker(['--num-gpu-blocks-override', '10'], { ready: false });
    expect(await mocker.exited).toBe(1);
    expect(mocker.log()).toContain('Try increasing --num-gpu-blocks-override or decreasing --max-model-len');
  });

  it('refuses impossible flags', async () => {
    for (const flags of [
      ['--http-port', '0'],
      ['--speedup-ratio', '0'],
      ['--block-size', 'x'],
      ['--disaggregation-mode', 'both'],
    ]) {
      await using mocker = await startMocker(flags, { ready: false, port: await freePort() });
      expect(await mocker.exited).toBe(2);
    }
  });
});
