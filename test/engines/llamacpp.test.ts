import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { llamacppEngine } from '../../src/engines/llamacpp/llamacpp-engine.ts';
import { parsePrometheusText } from '../../src/telemetry/prometheus-text.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';
import { type Body, complete, metric, open, read } from './support/client.ts';
import { llamacppFolder, recipe, START_DEADLINE_MS } from './support/environment.ts';

const NAME = 'llamacpp-cpu';
const SETTLE_MS = 90_000;
const chat = (content: string, more: object = {}): Body => ({
  messages: [{ role: 'user', content }],
  max_tokens: 24,
  ...more,
});

describe.skipIf(!llamacppFolder)('real llama.cpp', () => {
  const box = new Sandbox();
  let endpoint = '';
  let worker = '';

  const status = (): Promise<DeploymentSnapshot> => box.status(NAME);
  const server = async (): Promise<ProcessSnapshot> =>
    (await status()).processes.find((process) => process.name === 'aggregated-0')!;
  const serve = (setting: string) => box.run('serve', recipe('llamacpp'), '--set', setting);

  async function comesBack(before: ProcessSnapshot): Promise<void> {
    await waitFor(
      'it to be back',
      async () => {
        const now = await server();
        return now.state === 'ready' && now.pid !== before.pid && (await status()).state === 'ready';
      },
      START_DEADLINE_MS,
    );
    worker = (await server()).url;
    await waitFor('the frontend to know it', async () => (await fetch(`${endpoint}/health`)).status === 200, SETTLE_MS);
  }

  describe('a start that fails', () => {
    const garbage = box.file('garbage.gguf', 'This is no model.');
    const cut = box.file('cut.gguf', '');
    beforeAll(() => writeFileSync(cut, readFileSync(path.join(llamacppFolder!, 'tiny.gguf')).subarray(0, 100_000)));

    it.each([
      [`model=${garbage}`, 'the model file is missing or is no GGUF file', 'hint: Check `model` in the recipe'],
      [`model=${cut}`, 'a file of the weights is cut short or damaged', 'hint: Download the model again'],
      ['workers.aggregated.args.parallel=many', 'does not take one of the flags or values', 'hint: Compare `args`'],
    ])('%s: names the cause and what to do', async (setting, cause, hint) => {
      const { code, stderr } = await serve(setting);
      expect(stderr).toMatch(new RegExp(`aggregated-0 ended while starting: exit status 1: .*${cause}`));
      expect(stderr).toContain('[EXITED_EARLY]');
      expect(stderr).toContain(hint);
      expect(code).toBe(5);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    });

    it('names a file that is not there, before anything starts', async () => {
      const { code, stderr } = await serve('model=/nowhere/model.gguf');
      expect(stderr).toMatch(/there is no file \/nowhere\/model\.gguf/);
      expect(code).toBe(3);
    });

    it('names a flag that the installed version does not have, before anything starts', async () => {
      const { code, stderr } = await serve('workers.aggregated.args.paralel=2');
      expect(stderr).toMatch(/aggregated-0: llamacpp \S+ has no flag --paralel; did you mean --parallel\?/);
      expect(code).toBe(3);
    });
  });

  it(
    'passes smoke, and leaves neither processes nor state',
    async () => {
      const { code, stdout, stderr } = await box.run('smoke', recipe('llamacpp'));
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      expect(stdout).toMatch(/\d+ checks passed, 0 failed/);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
    START_DEADLINE_MS,
  );

  describe('that serves', () => {
    beforeAll(async () => {
      const { code, stdout, stderr } = await box.run('serve', recipe('llamacpp'), '--detach');
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      ({ endpoint } = await box.ready(NAME));
      worker = (await server()).url;
    }, START_DEADLINE_MS);

    afterAll(async () => {
      await box.run('stop', NAME);
      await box[Symbol.asyncDispose]();
    }, 60_000);

    it('says the same streamed, whole, and asked directly', async () => {
      for (const content of ['Hello', 'größe 日本 '.repeat(40)]) {
        const whole = await complete(endpoint, chat(content));
        expect(whole).toMatchObject({ status: 200, error: undefined, finish: 'length', completionTokens: 24 });
        expect(whole.headers.get('x-dynamo-worker') ?? whole.headers.get('x-dynamo-decode-worker')).toBe(
          'aggregated-0',
        );
        const usage = { stream: true, stream_options: { include_usage: true } };
        const streamed = await complete(endpoint, chat(content, usage));
        expect(streamed).toMatchObject({ isComplete: true, finish: 'length', completionTokens: 24 });
        const alone = await complete(worker, chat(content));
        expect([whole.text, streamed.text]).toEqual([alone.text, alone.text]);
      }
    });

    it('reports cached tokens as the server counts them', async () => {
      const body = chat('a question that is asked twice '.repeat(20), { max_tokens: 2 });
      const first = await complete(endpoint, body);
      const second = await complete(endpoint, body);
      expect(second.cachedTokens).toBeGreaterThan(first.cachedTokens!);
      expect(second.cachedTokens).toBe(second.promptTokens - 1);
    });

    it('hands on what the server refuses', async () => {
      const answer = await complete(endpoint, { prompt: 'a'.repeat(20_000), max_tokens: 4 });
      expect(answer.status).toBe(400);
      expect(answer.error).toMatch(/exceeds the available context size/);
    });

    it('has the metrics that the adapter names', async () => {
      const names = parsePrometheusText(await (await fetch(`${worker}/metrics`)).text()).map(({ name }) => name);
      const { requestsRunning, requestsWaiting, cachedTokens, promptTokens, generatedTokens } = llamacppEngine.metrics;
      for (const name of [requestsRunning, requestsWaiting, cachedTokens, promptTokens, generatedTokens])
        expect(names).toContain(name);
    });

    it('streams to more clients than it has slots; those that wait get comments, and then their text', async () => {
      const long = { max_tokens: 3_000, ignore_eos: true, stream: true };
      const answers = await Promise.all(
        ['first', 'second', 'third', 'fourth'].map((word) => complete(endpoint, chat(word, long))),
      );
      for (const answer of answers)
        expect(answer).toMatchObject({ status: 200, isComplete: true, error: undefined, finish: 'length' });
    });

    it('is free again when a client goes away in the middle of its stream', async () => {
      const gone = new AbortController();
      const body = chat('Count', { max_tokens: 3_800, ignore_eos: true, stream: true });
      const response = await open(endpoint, body, gone.signal);
      await response.body!.getReader().read();
      gone.abort();
      const idle = async () => (await metric(worker, 'llamacpp:requests_processing')) === 0;
      await waitFor('its slots to be free', idle, SETTLE_MS);
    });

    it(
      'lets an open stream end before it is restarted: the server itself would cut it',
      async () => {
        const before = await server();
        const body = chat('Go on', { max_tokens: 3_000, ignore_eos: true });
        const response = await open(endpoint, { ...body, stream: true });
        const reader = response.body!.getReader();
        const parts = [(await reader.read()).value!];
        const restart = box.run('restart', 'aggregated-0', '--deployment', NAME);
        for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
        const answer = read(response, Buffer.concat(parts).toString());
        expect(answer).toMatchObject({ isComplete: true, error: undefined, finish: 'length' });
        expect(await restart).toMatchObject({ code: 0, stderr: '' });
        await comesBack(before);
        expect((await complete(worker, body)).text).toBe(answer.text);
      },
      START_DEADLINE_MS,
    );

    it(
      'killed in the middle of a stream: the stream says so, and afterwards all is right',
      async () => {
        const victim = await server();
        const body = chat('Once more', { max_tokens: 3_800, ignore_eos: true, stream: true });
        const response = await open(endpoint, body);
        const reader = response.body!.getReader();
        const parts = [(await reader.read()).value!];
        process.kill(victim.pid!, 'SIGKILL');
        for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
        const answer = read(response, Buffer.concat(parts).toString());
        expect(answer.error).toBeDefined();
        expect(answer.finish).toBe(null);
        await comesBack(victim);
        expect((await server()).lastExit).toMatchObject({ signal: 'SIGKILL' });
        const [through, alone] = [await complete(endpoint, chat('Hello')), await complete(worker, chat('Hello'))];
        expect(through.text).toBe(alone.text);
      },
      START_DEADLINE_MS,
    );

    it('leaves nothing when it is stopped', async () => {
      expect(await box.run('stop', NAME)).toMatchObject({ code: 0, stderr: '' });
      await waitFor('nothing to be left', () => box.processes().length === 0);
    });
  });
});
