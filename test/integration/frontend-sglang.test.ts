import { describe, expect, it } from 'vitest';
import type { Instance } from '../../src/discovery/discovery.ts';
import {
  type Aborts,
  abortFinish,
  bootstrapTimeout,
  errorAfter200,
  garbage,
  loading,
  meetingPair,
  takesAborts,
  tooLong,
  waitsForPeer,
} from '../fixtures/engines/sglang.ts';
import { startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';
import { waitFor } from '../helpers/until.ts';

const SGLANG = {
  engine: 'sglang',
  kvTransfer: 'sglang-bootstrap',
  bootstrap: { host: '10.0.0.7', port: 8998 },
} as const;

/** A pair that serves, with what it was asked to abort. */
async function startPair(over: { prefill?: WorkerScript; decode?: WorkerScript; fields?: Partial<Instance> } = {}) {
  const aborts = { prefill: [] as Aborts, decode: [] as Aborts };
  const scripts = meetingPair(aborts);
  const prefill = await startScriptedWorker(over.prefill ? takesAborts(aborts.prefill, over.prefill) : scripts.prefill);
  const decode = await startScriptedWorker(over.decode ? takesAborts(aborts.decode, over.decode) : scripts.decode);
  const harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, {}, { ...SGLANG, ...over.fields });
  return { aborts, prefill, decode, harness };
}
const legs = (worker: { requests: { line: string; json: Record<string, unknown> }[] }) =>
  worker.requests.filter(({ line }) => line.includes('completions')).map(({ json }) => json);

describe('both legs at once', () => {
  it('gives both workers the same body and the client the decode worker’s answer, with its cached tokens', async () => {
    const { aborts, prefill, decode, harness } = await startPair();
    await using _ = harness;
    for (const stream of [true, false]) {
      const response = await harness.post({
        stream,
        seed: 7,
        stream_options: stream ? { include_usage: true } : undefined,
      });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-dynamo-prefill-worker')).toBe('prefill-0');
      expect(response.headers.get('x-dynamo-decode-worker')).toBe('decode-0');
      const text = await response.text();
      expect(text).toContain('Hello');
      expect(text).not.toContain('dropped');
      expect(text).toContain('"cached_tokens":8');
    }
    await idle(harness);
    expect(legs(prefill)).toEqual(legs(decode));
    const [first, second] = legs(prefill);
    expect(first).toMatchObject({ bootstrap_host: '10.0.0.7', bootstrap_port: 8998, seed: 7 });
    for (const leg of [first!, second!]) {
      expect(leg['rid']).toMatch(/^[0-9a-f]{32}$/);
      expect(Number.isSafeInteger(leg['bootstrap_room'])).toBe(true);
      expect(leg['bootstrap_room']).toBeGreaterThan(0);
    }
    expect(first!['bootstrap_room']).not.toBe(second!['bootstrap_room']);
    expect(aborts).toEqual({ prefill: [], decode: [] });
  });

  it('gives a list of prompts a room and an id each', async () => {
    const { prefill, harness } = await startPair();
    await using _ = harness;
    const response = await harness.post({ messages: undefined, prompt: ['a', 'b', 'c'] }, '/v1/completions');
    expect(response.status).toBe(200);
    const [leg] = legs(prefill);
    expect(leg).toMatchObject({ bootstrap_host: Array(3).fill('10.0.0.7'), bootstrap_port: Array(3).fill(8998) });
    for (const key of ['bootstrap_room', 'rid']) expect(new Set(leg![key] as unknown[]).size).toBe(3);
    expect(new Set((leg!['rid'] as string[]).map((rid) => rid.length))).toEqual(new Set([32]));
  });

  it('strips rooms and ids that a caller brings', async () => {
    const { prefill, harness } = await startPair();
    await using _ = harness;
    await harness.post({ rid: '', bootstrap_room: 1, bootstrap_host: 'evil', routed_dp_rank: 3 });
    expect(legs(prefill)[0]).toMatchObject({ bootstrap_host: '10.0.0.7' });
    expect(legs(prefill)[0]).not.toHaveProperty('routed_dp_rank');
    expect(legs(prefill)[0]!['rid']).not.toBe('');
  });

  it.each([
    ['prefill times out in bootstrap', bootstrapTimeout, true],
    ['prefill times out in bootstrap', bootstrapTimeout, false],
    ['prefill ends with finish reason abort', abortFinish, true],
    ['prefill ends with finish reason abort', abortFinish, false],
    ['prefill is still loading', loading, false],
    ['prefill cuts the connection', (({ socket }) => socket.destroy()) as WorkerScript, true],
  ])(
    '%s (%#): decode is aborted by id at once, other rooms are tried, then an error',
    async (_name, script, stream) => {
      const { aborts, prefill, decode, harness } = await startPair({ prefill: script, decode: waitsForPeer });
      await using _ = harness;
      const response = await harness.post({ stream });
      expect(response.status).toBeGreaterThanOrEqual(500);
      await response.text();
      expect(legs(prefill).length).toBeGreaterThan(0);
      // Decode may have been told to forget a request that it never got.
      await waitFor('the aborts', () => aborts.decode.length === legs(prefill).length);
      expect(aborts.decode.toSorted()).toEqual(
        legs(prefill)
          .map(({ rid }) => String(rid))
          .toSorted(),
      );
      const rooms = legs(prefill).map((leg) => leg['bootstrap_room']);
      expect(new Set(rooms).size).toBe(rooms.length);
      await waitFor('the connections to decode to close', () =>
        decode.requests.every(({ line, socket }) => line.includes('abort') || socket.destroyed),
      );
      await idle(harness);
    },
  );

  it.each([
    ['an error event after 200', errorAfter200, true],
    ['finish reason abort', abortFinish, true],
    ['finish reason abort', abortFinish, false],
    ['a cut connection', (({ socket }) => socket.destroy()) as WorkerScript, true],
  ])('decode fails with %s (%#): prefill is aborted by id', async (_name, script, stream) => {
    const { aborts, prefill, harness } = await startPair({ prefill: waitsForPeer, decode: script });
    await using _ = harness;
    const response = await harness.post({ stream });
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect(legs(prefill).length).toBeGreaterThan(0);
    await waitFor('the aborts', () => aborts.prefill.length === legs(prefill).length);
    expect(aborts.prefill.toSorted()).toEqual(
      legs(prefill)
        .map(({ rid }) => String(rid))
        .toSorted(),
    );
    await idle(harness);
  });

  it('serves with another prefill worker when one is stale', async () => {
    const { harness, prefill } = await startPair();
    await using _ = harness;
    await using stale = await startScriptedWorker(takesAborts([], bootstrapTimeout));
    await harness.publish('prefill-1', stale, SGLANG);
    for (let index = 0; index < 4; index += 1) {
      const response = await harness.post({ stream: true });
      expect(response.headers.get('x-dynamo-prefill-worker')).toBe('prefill-0');
      expect(await response.text()).toContain('Hello');
    }
    expect(stale.requests.length).toBeGreaterThan(0);
    expect(legs(prefill)).toHaveLength(4);
    expect(await harness.metric('dynamo_frontend_upstream_retries_total', 'role="prefill"')).toBe(
      stale.requests.length,
    );
    await idle(harness);
  });

  it('passes on prefill’s refusal, and aborts decode, which waits for it', async () => {
    const { aborts, harness } = await startPair({ prefill: tooLong, decode: waitsForPeer });
    await using _ = harness;
    const response = await harness.post({ stream: true });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('context length');
    await waitFor('the abort', () => aborts.decode.length === 1);
  });

  it.each([true, false])(
    'shows nothing of a prompt that may be too long before prefill has answered (stream: %s)',
    async (stream) => {
      const release = Promise.withResolvers<void>();
      const { aborts, decode, harness } = await startPair({
        prefill: (request, count) => void release.promise.then(() => tooLong(request, count)),
        decode: garbage,
        fields: { maxModelLen: 1_000 },
      });
      await using _ = harness;
      const answer = harness.post({ stream, messages: [{ role: 'user', content: 'x'.repeat(2_000) }] });
      await waitFor('garbage to be on its way', () => decode.requests.length === 1);
      // One that is short enough waits for nobody, and by its answer the garbage before it has arrived, too.
      expect(await (await harness.post({ stream })).text()).toContain('garbage');
      release.resolve();
      const response = await answer;
      expect(response.status).toBe(400);
      expect(await response.text()).toContain('context length');
      await waitFor('the abort', () => aborts.decode.length === 1);
      await idle(harness);
    },
  );

  it('aborts both legs by id when the client leaves', async () => {
    const { aborts, prefill, decode, harness } = await startPair({ prefill: waitsForPeer, decode: waitsForPeer });
    await using _ = harness;
    const client = new AbortController();
    const lost = fetch(`${harness.url}/v1/chat/completions`, {
      method: 'POST',
      body: '{"model":"demo","messages":[{"role":"user","content":"hi"}],"stream":true}',
      signal: client.signal,
    }).catch(() => {});
    await waitFor('both legs', () => prefill.requests.length === 1 && decode.requests.length === 1);
    client.abort();
    await lost;
    await waitFor('both aborts', () => aborts.prefill.length > 0 && aborts.decode.length > 0);
    await waitFor(
      'both connections to close',
      () => prefill.requests[0]!.socket.destroyed && decode.requests[0]!.socket.destroyed,
    );
    await idle(harness);
  });

  it('refuses what cannot be split, or gives it to an aggregated worker', async () => {
    const { prefill, decode, harness } = await startPair();
    await using _ = harness;
    const refused = await harness.post({ n: 2 });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { param: 'n', code: 'invalid_request' } });
    expect([prefill.requests.length, decode.requests.length]).toEqual([0, 0]);
    await using whole = await startScriptedWorker(meetingPair({ prefill: [], decode: [] }).decode);
    whole.script = ({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}');
    await harness.publish('worker-0', whole, { engine: 'sglang', kvTransfer: null });
    expect((await harness.post({ n: 2 })).headers.get('x-dynamo-worker')).toBe('worker-0');
  });

  it('has no use for a prefill worker that does not say where its bootstrap server is', async () => {
    const { harness } = await startPair();
    await using _ = harness;
    await using other = await startScriptedWorker(waitsForPeer);
    await harness.publish('prefill-9', other, { ...SGLANG, bootstrap: null });
    for (let index = 0; index < 3; index += 1) expect((await harness.post({})).status).toBe(200);
    expect(other.requests).toEqual([]);
  });
});
