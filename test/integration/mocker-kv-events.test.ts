import { describe, expect, it } from 'vitest';
import { kvEventDecoder } from '../../src/engines/kv-event-payload.ts';
import type { KvEvent, StoredBlocks } from '../../src/engines/kv-events.ts';
import { readVllmEvents } from '../../src/engines/vllm/kv-events.ts';
import { openKvEventSockets } from '../../src/routing/kv-event-sockets.ts';
import { followKvEvents } from '../../src/routing/kv-event-stream.ts';
import { encodeText } from '../../src/tokens/mock-tokenizer.ts';
import { freePort } from '../helpers/free-port.ts';
import { type MockerProcess, startMocker } from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

const BLOCK = 16;

/** A mocker that publishes, and the book that somebody keeps of it. */
async function start(...args: string[]) {
  const [events, replay] = [await freePort(), await freePort()];
  const endpoints = { events: `tcp://127.0.0.1:${events}`, replay: `tcp://127.0.0.1:${replay}` };
  const config = { enable_kv_cache_events: true, endpoint: endpoints.events, replay_endpoint: endpoints.replay };
  const flags = ['--block-size', String(BLOCK), '--kv-events-config', JSON.stringify(config), ...args];
  const stack = new AsyncDisposableStack();
  const mocker = stack.use(await startMocker(flags));
  return { mocker, endpoints, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function follow(endpoints: { events: string; replay: string }) {
  const seen: KvEvent[] = [];
  const blocks = new Map<bigint, bigint | null>();
  const notes: string[] = [];
  const sockets = await openKvEventSockets(endpoints);
  const following = followKvEvents(sockets, await kvEventDecoder(readVllmEvents), {
    apply(event) {
      seen.push(event);
      if (event.kind === 'removed') for (const hash of event.hashes) blocks.delete(hash);
      if (event.kind !== 'stored') return;
      for (const [index, hash] of event.hashes.entries())
        blocks.set(hash, index === 0 ? event.parent : event.hashes[index - 1]!);
    },
    forget: (reason) => notes.push(reason),
    unreadable: (reason) => notes.push(reason),
  });
  return {
    seen,
    blocks,
    notes,
    /**
     * Waits until what is published arrives: what comes before the subscription is there, and after the replay of the beginning, shows
     * only as a gap before the next message. What it has seen until then is forgotten, and nothing is under way.
     */
    async live(mocker: MockerProcess): Promise<void> {
      // The replay may bring the first one.
      for (const tag of ['once', 'twice']) {
        let told: Uint32Array | undefined;
        let tries = 0;
        await waitFor(`a message ${tag}`, async () => {
          if (seen.some((event) => isStored(event) && event.tokens.every((token, index) => token === told?.[index])))
            return true;
          const prompt = words(BLOCK, `${tag}${tries++}x`);
          await (await mocker.post('/v1/completions', { prompt, max_tokens: 1 })).text();
          told = Uint32Array.from(encodeText(prompt));
          return false;
        });
      }
      seen.length = 0;
      blocks.clear();
    },
    async [Symbol.asyncDispose]() {
      sockets[Symbol.dispose]();
      await following;
    },
  };
}

const words = (count: number, tag: string): string => Array.from({ length: count }, (_, i) => `${tag}${i}`).join(' ');
const isStored = (event: KvEvent): event is StoredBlocks => event.kind === 'stored';

describe('KV events of the simulated engine', () => {
  it('tell the tokens of every full block, prompt and answer, once', async () => {
    await using box = await start();
    await using book = await follow(box.endpoints);
    await book.live(box.mocker);
    const prompt = words(60, 'a');
    const ask = () =>
      box.mocker.post('/v1/completions', { prompt, max_tokens: 24, temperature: 0, return_token_ids: true });
    const answer = (await (await ask()).json()) as { choices: { token_ids: number[] }[] };
    const tokens = [...encodeText(prompt), ...answer.choices[0]!.token_ids];
    // The last token is generated and not read again: no KV cache of it.
    const full = Math.floor((tokens.length - 1) / BLOCK);
    await waitFor('every block', () => book.blocks.size >= full);
    expect(book.seen.filter(isStored).flatMap((event) => [...event.tokens])).toEqual(tokens.slice(0, full * BLOCK));
    const chain = [...book.blocks];
    expect(chain.map(([, parent]) => parent)).toEqual([null, ...chain.slice(0, -1).map(([hash]) => hash)]);
    const before = book.seen.length;
    await ask();
    // What is cached already is not told again; another prompt is.
    await box.mocker.post('/v1/completions', { prompt: words(40, 'b'), max_tokens: 1 });
    await waitFor('the other prompt', () => book.seen.length > before);
    expect(
      book.seen
        .slice(before)
        .filter(isStored)
        .every(({ parent }) => parent === null || !chain.some(([hash]) => hash === parent)),
    ).toBe(true);
    expect(book.notes).toEqual([]);
  });

  it('are kept for who comes late, and tell what was evicted', async () => {
    await using box = await start('--num-gpu-blocks-override', '16', '--max-model-len', '256');
    for (const tag of ['a', 'b', 'c', 'd']) {
      await box.mocker.post('/v1/completions', { prompt: words(80, tag), max_tokens: 1 });
    }
    await using late = await follow(box.endpoints);
    await waitFor('a removal', () => late.seen.some(({ kind }) => kind === 'removed'));
    await late.live(box.mocker);
    await box.mocker.post('/v1/completions', { prompt: words(80, 'e'), max_tokens: 1 });
    const tokens = encodeText(words(80, 'e'));
    await waitFor('the newest prompt', () =>
      late.seen.some(
        (event) =>
          isStored(event) && event.parent === null && event.tokens[0] === tokens[0] && event.tokens[2] === tokens[2],
      ),
    );
    expect(late.blocks.size).toBeLessThanOrEqual(16);
    expect(late.notes).toEqual([]);
  });
});
