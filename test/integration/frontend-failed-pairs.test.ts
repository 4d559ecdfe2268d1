import { expect, it } from 'vitest';
import { startHarness } from '../helpers/frontend-harness.ts';
import { decodeScript, prefillScript, startScriptedWorker } from '../helpers/scripted-worker.ts';

/** Which pairs served: headers of `count` requests one after the other. */
async function pairsOf(post: () => Promise<Response>, count: number): Promise<Set<string>> {
  const pairs = new Set<string>();
  for (let index = 0; index < count; index += 1) {
    const response = await post();
    expect(response.status).toBe(200);
    await response.text();
    pairs.add(`${response.headers.get('x-dynamo-prefill-worker')} ${response.headers.get('x-dynamo-decode-worker')}`);
  }
  return pairs;
}

it('keeps two workers apart whose pair failed its proof, whichever of them says so, and only those incarnations', async () => {
  await using stack = new AsyncDisposableStack();
  const worker = async (script: typeof prefillScript) => stack.use(await startScriptedWorker(script));
  const harness = stack.use(await startHarness({ routerMode: 'round-robin' }));
  await harness.publish('prefill-0', await worker(prefillScript));
  // An earlier incarnation failed with it; this one has not.
  await harness.publish('prefill-1', await worker(prefillScript), {
    failedPeers: [{ name: 'decode-0', generation: 7 }],
  });
  await harness.publish('decode-0', await worker(decodeScript));
  await harness.publish('decode-1', await worker(decodeScript), {
    failedPeers: [{ name: 'prefill-0', generation: 1 }],
  });
  const pairs = await pairsOf(() => harness.post({}), 16);
  expect(pairs).not.toContain('prefill-0 decode-1');
  expect(pairs).toContain('prefill-0 decode-0');
  expect([...pairs].some((pair) => pair.startsWith('prefill-1'))).toBe(true);
});
