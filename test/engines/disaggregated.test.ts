import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentRecord } from '../../src/deployment/record.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import type { KvPathReport } from '../../src/doctor/check-kv-path.ts';
import type { TokenReport } from '../../src/doctor/check-tokens.ts';
import type { KvEventLine, KvEventTally } from '../../src/doctor/watch-kv-events.ts';
import { kvEventDecoder } from '../../src/engines/kv-event-payload.ts';
import type { KvEvent } from '../../src/engines/kv-events.ts';
import { readVllmEvents } from '../../src/engines/vllm/kv-events.ts';
import { decodeLegBody, kvTransferParamsOf, prefillLegBody } from '../../src/engines/vllm/kv-transfer.ts';
import { openKvEventSockets } from '../../src/routing/kv-event-sockets.ts';
import { followKvEvents } from '../../src/routing/kv-event-stream.ts';
import { smokeChecks } from '../../src/smoke/smoke-checks.ts';
import { ownWorld, processesOfRun, readStat } from '../../src/supervise/identity.ts';
import { describeEngineSurface } from '../contract/engine-surface.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import type { LongCommand } from '../helpers/run-cli.ts';
import { waitFor } from '../helpers/until.ts';
import { type Body, complete, metric, open, read, tokenIds, words } from './support/client.ts';
import { engineFolder, recipe, START_DEADLINE_MS } from './support/environment.ts';
import { KvEventListener, type KvEventMessage } from './support/kv-event-listener.ts';

const NAME = 'vllm-cpu-disaggregated';
/** A machine with few cores was seen to take half a minute for one transfer. */
const SETTLE_MS = 90_000;
const BLOCK_SIZE = 128;
const isGone = (pid: number) => ['Z', undefined].includes(readStat(pid)?.state);
const EXTERNAL = { source: 'external_kv_transfer' };

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It went with another.
    }
  }
}

const portOf = ({ processes }: DeploymentSnapshot, name: string): number =>
  processes.find((process) => process.name === name)!.ports['sideChannel']!;

/** An event, for comparing: as Python reads it, and as dynamo does. */
function byPython(event: KvEventMessage['events'][number]): object {
  const { type, block_hashes: hashes = [], token_ids: tokens = [] } = event;
  return { type, hashes, tokens };
}

const TYPES = { stored: 'BlockStored', removed: 'BlockRemoved', cleared: 'AllBlocksCleared' } as const;
function byDynamo(event: KvEvent): object {
  const hashes = event.kind === 'cleared' ? [] : event.hashes.map(String);
  return { type: TYPES[event.kind], hashes, tokens: event.kind === 'stored' ? [...event.tokens] : [] };
}

describe.skipIf(!engineFolder)('real vLLM, prefill and decode apart', () => {
  const box = new Sandbox();
  let endpoint = '';
  let prefill = '';
  let decode = '';

  /** Of every life of both workers. */
  const usedSideChannels: number[] = [];

  const status = (): Promise<DeploymentSnapshot> => box.status(NAME);
  const find = async (name: string): Promise<ProcessSnapshot> =>
    (await status()).processes.find((process) => process.name === name)!;
  const proofs = (): number =>
    box.events(NAME).filter((event) => event.type === 'pair' && event.message.startsWith('prefill-0')).length;

  let started: LongCommand;

  // Somebody takes the port of the prefill worker's side channel before it does. Only a connection to it would tell: vLLM
  // itself answers as if nothing had happened.
  beforeAll(async () => {
    started = box.start('serve', recipe('disaggregated'), '--detach');
    const victim = await waitFor(
      'the prefill worker to be started',
      () =>
        find('prefill-0').then(
          (found) => (found?.pid ? found : undefined),
          () => undefined,
        ),
      START_DEADLINE_MS,
    );
    const port = victim.ports['sideChannel']!;
    const squatter = net.createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    await started.readUntil(/a port was taken between plan and start; planning with others/, START_DEADLINE_MS);
    squatter.close();
    expect(await started.exited, `${started.stdout}\n${started.stderr}`).toBe(0);
    const snapshot = await box.ready(NAME);
    expect(snapshot.pairs).toMatchObject([{ prefill: 'prefill-0', decode: 'decode-0', state: 'proven' }]);
    expect((await find('prefill-0')).ports['sideChannel']).not.toBe(port);
    endpoint = snapshot.endpoint;
    const url = (name: string) => snapshot.processes.find((process) => process.name === name)!.url;
    [prefill, decode] = [url('prefill-0'), url('decode-0')];
    usedSideChannels.push(...['prefill-0', 'decode-0'].map((name) => portOf(snapshot, name)));
  }, 2 * START_DEADLINE_MS);

  afterAll(async () => {
    await box.run('stop', NAME);
    await box[Symbol.asyncDispose]();
  }, 60_000);

  /** Both engines have nothing to do, and no request of the frontend is under way. */
  async function idle(): Promise<void> {
    await waitFor(
      'everything to be idle',
      async () => {
        const busy = await Promise.all([prefill, decode].map((url) => metric(url, 'vllm:num_requests_running')));
        const waiting = await Promise.all([prefill, decode].map((url) => metric(url, 'vllm:num_requests_waiting')));
        return [...busy, ...waiting, ...Object.values(await inFlight())].every((count) => count === 0);
      },
      SETTLE_MS,
    );
  }

  const decodeHoldsNothing = () =>
    waitFor('its blocks to be free', async () => (await metric(decode, 'vllm:kv_cache_usage_perc')) === 0, SETTLE_MS);

  const post = (url: string, leg: Buffer) =>
    fetch(`${url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: leg });

  async function inFlight(): Promise<Record<string, number>> {
    const { instances } = (await (await fetch(`${endpoint}/health`)).json()) as {
      instances: { name: string; inFlight: number }[];
    };
    return Object.fromEntries(instances.map((instance) => [instance.name, instance.inFlight]));
  }

  /** Through the product; the same request sent to the decode worker alone, out of reach of its cache; both must agree. */
  async function compare(body: Body): Promise<void> {
    const transfers = await metric(decode, 'vllm:nixl_xfer_time_seconds_count');
    const tokens = await metric(decode, 'vllm:prompt_tokens_by_source_total', EXTERNAL);
    const answer = await complete(endpoint, body);
    expect(answer).toMatchObject({ status: 200, isComplete: true, error: undefined });
    expect(answer.headers.get('x-dynamo-prefill-worker')).toBe('prefill-0');
    expect(answer.headers.get('x-dynamo-decode-worker')).toBe('decode-0');
    await waitFor(
      'the transfer to be counted',
      async () =>
        (await metric(decode, 'vllm:nixl_xfer_time_seconds_count')) > transfers &&
        (await metric(decode, 'vllm:prompt_tokens_by_source_total', EXTERNAL)) > tokens,
      SETTLE_MS,
    );
    const { kv_transfer_params: _, ...honest } = body;
    const alone = await complete(decode, { ...honest, cache_salt: crypto.randomUUID() } as Body);
    expect(answer.text).toBe(alone.text);
    expect(answer.text).not.toBe('');
    expect(answer.finish).toBe(alone.finish);
    expect([answer.promptTokens, answer.completionTokens]).toEqual([alone.promptTokens, alone.completionTokens]);
  }

  describe('an engine’s surface', () => {
    describeEngineSurface(() => ({ prefill, decode, model: 'tiny', maxModelLen: 4_096, blockSize: BLOCK_SIZE }));
  });

  describe('through the frontend', () => {
    it.each([20, 129, 700, 2_500])('%i tokens of prompt: the text of the decode worker alone', async (count) => {
      await compare({ prompt: tokenIds(count, count), max_tokens: 24 });
    });

    it('one prompt in a list: the text of the decode worker alone', async () => {
      await compare({ prompt: [words(200, 99)], max_tokens: 12 });
    });

    it.each([5, 300])('a chat of %i words, streamed: the text of the decode worker alone', async (count) => {
      const messages = [{ role: 'user', content: words(count, count) }];
      const usage = { stream_options: { include_usage: true } };
      await compare({ messages, max_completion_tokens: 24, stream: true, ...usage });
      await compare({ messages: [{ role: 'system', content: 'Be brief.' }, ...messages], max_tokens: 8 });
    });

    const PLACE = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
    const tools = [{ type: 'function', function: { name: 'find', parameters: PLACE } }];
    const json_schema = { name: 'place', schema: PLACE };
    const messages = [{ role: 'user', content: words(150, 80) }];
    it.each([
      ['a list of one prompt', { prompt: [tokenIds(200, 81)], max_tokens: 8 }],
      ['a least number of tokens', { prompt: tokenIds(200, 82), max_tokens: 8, min_tokens: 8 }],
      ['stops', { prompt: tokenIds(200, 83), max_tokens: 24, stop: [' ', 'e'], include_stop_str_in_output: true }],
      ['log probabilities', { prompt: tokenIds(200, 84), max_tokens: 4, logprobs: 3 }],
      ['tools in its prompt', { messages, max_tokens: 24, tools, tool_choice: 'none' }],
      ['a schema', { messages, max_tokens: 24, response_format: { type: 'json_schema', json_schema } }],
      ['no limit but the older one', { messages, max_tokens: 8, max_completion_tokens: null }],
    ] as [string, Body][])('a request with %s: the text of the decode worker alone', async (_, body) => {
      await compare(body);
    });

    it('reports the cached tokens of the prefill worker, which the decode worker does not see', async () => {
      const body = { prompt: tokenIds(600, 71), max_tokens: 4 };
      expect((await complete(endpoint, body)).cachedTokens).toBe(0);
      expect((await complete(endpoint, body)).cachedTokens).toBe(4 * BLOCK_SIZE);
      const streamed = await complete(endpoint, { ...body, stream: true, stream_options: { include_usage: true } });
      expect(streamed.cachedTokens).toBe(4 * BLOCK_SIZE);
    });

    it('does not let a client name somebody else’s KV cache', async () => {
      const mine = Buffer.from(JSON.stringify({ model: 'tiny', prompt: tokenIds(300, 72), max_tokens: 1 }));
      const leg = await post(prefill, prefillLegBody(mine));
      const paramBytes = kvTransferParamsOf(Buffer.from(await leg.arrayBuffer()))!;
      const params = JSON.parse(paramBytes.toString()) as object;
      await compare({ prompt: tokenIds(300, 73), max_tokens: 12, kv_transfer_params: params });
      await post(decode, decodeLegBody(mine, paramBytes));
    });

    it('hands on what the engine refuses', async () => {
      const answer = await complete(endpoint, { prompt: tokenIds(5_000, 74), max_tokens: 4 });
      expect(answer.status).toBe(400);
      expect(answer.error).toContain('maximum context length is 4096 tokens');
    });
  });

  describe('KV events', () => {
    it('of the prefill worker name the blocks of every prompt, and a replay says the same again', async () => {
      const { ports } = await find('prefill-0');
      const address = (purpose: string) => `tcp://127.0.0.1:${ports[purpose]}`;
      await using listener = new KvEventListener(engineFolder!, address('kvEvents'), address('kvReplay'));
      await listener.connected(SETTLE_MS);
      const sockets = await openKvEventSockets({ events: address('kvEvents'), replay: address('kvReplay') });
      const followed: object[] = [];
      const following = followKvEvents(sockets, await kvEventDecoder(readVllmEvents), {
        apply: (event) => followed.push(byDynamo(event)),
        forget: (reason) => followed.push({ forget: reason }),
        unreadable: (reason) => followed.push({ unreadable: reason }),
      });
      const prompt = tokenIds(5 * BLOCK_SIZE + 20, 75);
      expect((await complete(endpoint, { prompt, max_tokens: 4 })).status).toBe(200);
      const stored = () =>
        listener.live.flatMap(({ events }) => events).filter((event) => event.token_ids?.[0] === prompt[0]);
      await waitFor('the blocks to be announced', () => stored().length > 0, SETTLE_MS);
      const blocks = listener.live
        .flatMap(({ events }) => events)
        .filter((event) => event.type === 'BlockStored')
        .flatMap((event) => event.token_ids!);
      expect(blocks).toEqual(prompt.slice(0, 5 * BLOCK_SIZE));
      expect(stored()[0]).toMatchObject({ block_size: BLOCK_SIZE, medium: 'GPU', parent_block_hash: null });

      // The cache holds 64 blocks: what comes next takes the place of what was there.
      for (const seed of [76, 77, 78])
        expect((await complete(endpoint, { prompt: tokenIds(3_000, seed), max_tokens: 1 })).status).toBe(200);
      const removed = () => listener.live.flatMap(({ events }) => events).filter(({ type }) => type === 'BlockRemoved');
      await waitFor('blocks to be dropped', () => removed().length > 0, SETTLE_MS);

      // That its cache was emptied is sent along with what comes next.
      expect((await fetch(`${prefill}/reset_prefix_cache`, { method: 'POST' })).status).toBe(200);
      expect((await complete(endpoint, { prompt: tokenIds(300, 79), max_tokens: 1 })).status).toBe(200);
      const cleared = () => listener.live.some(({ events }) => events.some(({ type }) => type === 'AllBlocksCleared'));
      await waitFor('the cache to be cleared', cleared, SETTLE_MS);

      const replayed = await listener.replay(0, SETTLE_MS);
      expect(replayed.map(({ sequence }) => sequence)).toEqual(replayed.map((_, index) => index));
      for (const { sequence, payload } of listener.live)
        expect(payload.equals(replayed[sequence]!.payload), `batch ${sequence}`).toBe(true);

      // What dynamo made of it on the way is what Python reads in the replay.
      const expected = replayed.flatMap(({ events }) => events).map(byPython);
      await waitFor('dynamo to have followed', () => followed.length >= expected.length, SETTLE_MS);
      expect(followed).toEqual(expected);
      sockets[Symbol.dispose]();
      await following;
    });
  });

  describe('doctor', () => {
    it('moves KV cache, and tells how fast and by what it went', async () => {
      const { code, stdout, stderr } = await box.run('doctor', 'kv-path', NAME, '--repeat', '2', '--json');
      expect(code, stderr).toBe(0);
      const { pairs } = JSON.parse(stdout) as { pairs: KvPathReport[] };
      expect(pairs).toMatchObject([{ prefill: 'prefill-0', decode: 'decode-0', ok: true, dialect: 'vllm-nixl' }]);
      const { best, transport } = pairs[0]!;
      expect(best!.promptTokens).toBeGreaterThan(2 * BLOCK_SIZE);
      for (const figure of [best!.bytes, best!.transferMs, best!.bytesPerSecond]) expect(figure).toBeGreaterThan(0);
      // UCX was asked to say it (UCX_PROTO_INFO in the recipe).
      expect(transport.transports).not.toEqual([]);
      expect(transport.message).toMatch(/^UCX carries KV cache by \S+\/\S+/);
    });

    it('says in the worker’s words what a pair refuses, and what to do', async () => {
      const asked = await box.run('doctor', 'kv-path', NAME, '--prompt-words', '4000', '--repeat', '1');
      expect(asked.code).toBe(8);
      const refusal =
        /^FAIL {2}prefill-0 → decode-0 {2}the prefill leg answered 400: This model's maximum context length/;
      expect(asked.stdout).toMatch(refusal);
      expect(asked.stdout).toContain('→ Ask with fewer `--prompt-words`.');
    });

    it('finds the same tokens on both workers, and in what the decode worker renders', async () => {
      const { code, stdout, stderr } = await box.run('doctor', 'tokens', NAME, '--json');
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      const { cases } = JSON.parse(stdout) as TokenReport;
      expect(cases.length).toBeGreaterThan(8);
      for (const { name, agree, detail, sides } of cases) {
        expect([name, agree], detail).toEqual([name, true]);
        expect(sides.map(({ who }) => who)).toEqual(['prefill-0', 'decode-0', 'decode-0 (render)']);
        for (const { ids, promptTokens } of sides) expect(ids).toHaveLength(promptTokens!);
      }
    });

    it('prints what both workers publish of their KV caches', async () => {
      const watching = box.start('doctor', 'kv-events', NAME, '--for', '3600', '--json');
      const prompt = tokenIds(3 * BLOCK_SIZE + 5, 85);
      expect((await complete(endpoint, { prompt, max_tokens: 2 })).status).toBe(200);
      /** Whole lines only: the last may still be on its way. */
      const lines = () =>
        watching.stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as KvEventLine & { tallies?: KvEventTally[] });
      const stored = (worker: string) =>
        lines()
          .flatMap((line) =>
            line.worker === worker && 'event' in line && line.event.kind === 'stored' ? [...line.event.tokens] : [],
          )
          .join();
      const blocks = prompt.slice(0, 3 * BLOCK_SIZE).join();
      await waitFor(
        'both workers to have told of the blocks',
        () => ['prefill-0', 'decode-0'].every((worker) => stored(worker).includes(blocks)),
        SETTLE_MS,
      );
      watching.signal('SIGINT');
      expect(await watching.exited, watching.stderr).toBe(0);
      const tallies = lines().at(-1)!.tallies!;
      expect(tallies.map(({ worker, problems }) => [worker, problems])).toEqual([
        ['prefill-0', 0],
        ['decode-0', 0],
      ]);
      for (const { known, stored } of tallies) expect(stored).toBeGreaterThanOrEqual(known);
    });
  });

  it('passes what smoke checks', async () => {
    const { plan } = JSON.parse(
      readFileSync(path.join(box.deploymentDir(NAME), 'deployment.json'), 'utf8'),
    ) as DeploymentRecord;
    const snapshot = await status();
    const { signal } = new AbortController();
    for (const check of smokeChecks(plan, snapshot.pairs))
      await expect(check.run({ plan, snapshot, signal }), check.name).resolves.toBeUndefined();
  });

  // What comes now takes workers away; each leaves the deployment whole again.

  /** Waits until a worker is ready in a new incarnation and its pair has been proven again. */
  async function comesBack(before: ProcessSnapshot, proofsBefore: number): Promise<ProcessSnapshot> {
    const after = await waitFor(
      `${before.name} to be back`,
      async () => {
        const found = await find(before.name);
        const { state, pairs } = await status();
        const isProven = proofs() > proofsBefore && pairs.every((pair) => pair.state === 'proven');
        return found.state === 'ready' && found.pid !== before.pid && state === 'ready' && isProven && found;
      },
      START_DEADLINE_MS,
    );
    expect(after.generation).toBeGreaterThan(before.generation);
    // Whoever still addresses the one before must find nobody, rather than another worker's blocks.
    const sideChannel = after.ports['sideChannel']!;
    expect(sideChannel).not.toBe(before.ports['sideChannel']);
    expect(usedSideChannels).not.toContain(sideChannel);
    usedSideChannels.push(sideChannel);
    expect((await status()).pairs).toHaveLength(1);
    [prefill, decode] = [(await find('prefill-0')).url, (await find('decode-0')).url];
    await waitFor('the frontend to know it', async () => (await fetch(`${endpoint}/health`)).status === 200, SETTLE_MS);
    return after;
  }

  /** A worker, with the processes of its engine. */
  async function familyOf(name: string): Promise<ProcessSnapshot & { family: number[] }> {
    const worker = await find(name);
    const runId = /DYNAMO_RUN_ID=([^\0]+)/.exec(readFileSync(`/proc/${worker.pid}/environ`, 'utf8'))![1]!;
    const shim = readStat(worker.pid!)!.parent;
    const leader = { ...ownWorld(), pid: shim, startTime: readStat(shim)!.startTime, runId };
    const family = processesOfRun(runId, leader).filter((pid) => pid !== shim);
    expect(family.length).toBeGreaterThan(2);
    return { ...worker, family };
  }

  /** Ends the engine's main process, or all of its run at once. Whatever of it is left then is the agent's to end. */
  async function kill(name: string, what: 'main' | 'all'): Promise<ProcessSnapshot & { family: number[] }> {
    const victim = await familyOf(name);
    signalAll(what === 'all' ? victim.family : [victim.pid!], 'SIGKILL');
    return victim;
  }

  describe('draining', () => {
    it(
      'the decode worker lets an open stream end',
      async () => {
        const [before, proven] = [await find('decode-0'), proofs()];
        const body = { prompt: tokenIds(200, 91), max_tokens: 300, ignore_eos: true };
        const response = await open(endpoint, { ...body, stream: true });
        const reader = response.body!.getReader();
        const first = await reader.read();
        const restart = box.run('restart', 'decode-0', '--deployment', NAME);
        const rest: Uint8Array[] = [];
        for (let next = await reader.read(); !next.done; next = await reader.read()) rest.push(next.value);
        const answer = read(response, Buffer.concat([first.value!, ...rest]).toString());
        expect(answer).toMatchObject({ isComplete: true, error: undefined, finish: 'length' });
        const { code, stderr } = await restart;
        expect(stderr).toBe('');
        expect(code).toBe(0);
        await comesBack(before, proven);
        const alone = await complete(decode, body);
        expect(answer.text).toBe(alone.text);
        await compare({ prompt: tokenIds(400, 92), max_tokens: 12 });
      },
      START_DEADLINE_MS,
    );
  });

  describe('a decode worker that is killed', () => {
    it(
      'in the middle of a stream: the stream says so, and afterwards all is right',
      async () => {
        const proven = proofs();
        const response = await open(endpoint, {
          prompt: tokenIds(300, 96),
          max_tokens: 3_000,
          ignore_eos: true,
          stream: true,
        });
        const reader = response.body!.getReader();
        const parts = [(await reader.read()).value!];
        const victim = await kill('decode-0', 'main');
        for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
        const answer = read(response, Buffer.concat(parts).toString());
        expect(answer.error).toBeDefined();
        expect(answer.finish).toBe(null);
        await comesBack(victim, proven);
        expect(victim.family.filter((pid) => !isGone(pid))).toEqual([]);
        expect((await find('decode-0')).lastExit).toMatchObject({ signal: 'SIGKILL' });
        await compare({ prompt: tokenIds(500, 97), max_tokens: 12 });
        await compare({ messages: [{ role: 'user', content: words(60, 98) }], max_tokens: 12 });
      },
      START_DEADLINE_MS,
    );
  });

  // A prefill worker's engine goes round and round, and keeps two cores busy, while it holds blocks that nobody has read:
  // to the end of their lease. Hence this comes late, and the end of that worker next.
  describe('a client that goes away', () => {
    // Whether the engine computes the prompt to its end all the same is up to it; its blocks are then kept for the lease.
    it('while its prompt is read leaves both engines idle', async () => {
      const gone = new AbortController();
      // However fast it is: its engine stands still meanwhile, only its server answers.
      const { pid, family } = await familyOf('prefill-0');
      const engine = family.filter((member) => member !== pid);
      signalAll(engine, 'SIGSTOP');
      try {
        const body = { prompt: tokenIds(900, 82), max_tokens: 500, ignore_eos: true };
        const pending = complete(endpoint, body, gone.signal);
        pending.catch(() => {});
        await waitFor('the prompt to be read', async () => (await inFlight())['prefill-0']! > 0, SETTLE_MS);
        gone.abort();
        await expect(pending).rejects.toThrow();
      } finally {
        signalAll(engine, 'SIGCONT');
      }
      await idle();
      await decodeHoldsNothing();
    });

    it('in the middle of its stream frees both engines', async () => {
      const gone = new AbortController();
      const body = { prompt: tokenIds(500, 81), max_tokens: 3_000, ignore_eos: true, stream: true };
      const response = await open(endpoint, body, gone.signal);
      await response.body!.getReader().read();
      const running = async () => (await metric(decode, 'vllm:num_requests_running')) === 1;
      await waitFor('the request to be counted', running, SETTLE_MS);
      gone.abort();
      await idle();
      await decodeHoldsNothing();
    });
  });

  describe('a prefill worker that is killed', () => {
    it(
      'between the legs: leg 2 fails, nothing wrong is said, and the pair is proven again',
      async () => {
        const proven = proofs();
        const body = Buffer.from(
          JSON.stringify({ model: 'tiny', prompt: tokenIds(500, 93), max_tokens: 8, temperature: 0 }),
        );
        const first = await post(prefill, prefillLegBody(body));
        const params = kvTransferParamsOf(Buffer.from(await first.arrayBuffer()))!;
        const victim = await kill('prefill-0', 'all');
        await waitFor('it to be gone', () => victim.family.every(isGone));
        const second = await post(decode, decodeLegBody(body, params));
        expect(second.status).toBe(500);
        await waitFor('the frontend to know', async () => !('prefill-0' in (await inFlight())), SETTLE_MS);
        // There is nobody to read prompts, and no worker does it instead unless the recipe lets it.
        const answer = await complete(endpoint, { prompt: tokenIds(300, 94), max_tokens: 8 });
        expect(answer.status).toBe(503);
        expect(answer.text).toBe('');
        await comesBack(victim, proven);
        expect(victim.family.filter((pid) => !isGone(pid))).toEqual([]);
        await compare({ prompt: tokenIds(500, 93), max_tokens: 8 });
        await compare({ prompt: tokenIds(300, 95), max_tokens: 8, stream: true });
      },
      START_DEADLINE_MS,
    );
  });

  describe('stopping', () => {
    it('leaves no process of any engine', async () => {
      const { code, stderr } = await box.run('stop', NAME);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    });
  });
});
