import { chmodSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

/**
 * Engines whose workers do not get on with the next life of a peer (SGLang), with a fake that keeps the address of the first one it met.
 * The agent alone mends it: no controller lives while it happens.
 */

const program = path.join(packageRoot, 'test', 'fixtures', 'engines', 'servers', 'sglang.ts');

function recipe(prefill: number, decode: number): string {
  const group = (role: string, replicas: number) => `
  ${role}:
    replicas: ${replicas}
    gpus: 1
    command: ['${process.execPath}', '${program}']
    env: { DYNAMO_FLAG_CHECK: 'off', FAKE_FAULTS: '${role === 'decode' ? 'stale-peer' : ''}' }
    args: { page-size: 16 }
    restart: { policy: on-failure, initialBackoff: 50ms }`;
  return `name: peers
model: org/demo
servedModelName: demo
engine: sglang
frontend: { port: auto }
kvTransfer: { lease: 5s }
workers:${group('prefill', prefill)}${group('decode', decode)}
`;
}

/** A machine with four GPUs, as far as `nvidia-smi` can tell. */
function sandbox(): Sandbox {
  const box = new Sandbox();
  const gpus = 'for gpu in 0 1 2 3; do echo "$gpu, GPU-0000-$gpu, 81559, 0, NVIDIA H100 80GB HBM3"; done';
  const smi = box.file('nvidia-smi', `#!/bin/sh\n${gpus}\n`);
  chmodSync(smi, 0o755);
  box.env['PATH'] = `${path.dirname(smi)}:${process.env['PATH']}`;
  return box;
}

type Snapshot = Awaited<ReturnType<Sandbox['status']>>;
const pidOf = (view: Snapshot, name: string) => view.processes.find((entry) => entry.name === name)!.pid!;
const isGone = (pid: number) => ['Z', undefined].includes(readStat(pid)?.state);

/** Starts it, ends the controller, kills a worker; resolves with what was before, once that worker is ready again. */
async function killed(box: Sandbox, text: string, name: string): Promise<Snapshot> {
  const served = await box.run('serve', box.file('recipe.yaml', text), '--detach');
  expect(served.code, served.stderr).toBe(0);
  const before = await box.ready('peers', 60_000);
  process.kill(supervisors(before).controller, 'SIGKILL');
  await waitFor('no controller', async () => (await box.status('peers')).unattended);
  const pid = pidOf(before, name);
  process.kill(pid, 'SIGKILL');
  await waitFor('it to be gone', () => isGone(pid));
  return before;
}

it('a prefill worker that comes back: decode workers restart one at a time while the others serve, and every pair is proven', async () => {
  await using box = sandbox();
  const before = await killed(box, recipe(2, 2), 'prefill-0');
  let failed = 0;
  let answered = 0;
  let done = false;
  const load = (async () => {
    while (!done) {
      await ask(before.endpoint, 'demo').then(
        () => {
          answered += 1;
        },
        () => {
          failed += 1;
        },
      );
    }
  })();
  const after = await waitFor(
    'all to be ready anew',
    async () => {
      const view = await box.status('peers');
      const isNew = ['prefill-0', 'decode-0', 'decode-1'].every((name) => pidOf(view, name) !== pidOf(before, name));
      return view.state === 'ready' && isNew ? view : undefined;
    },
    90_000,
  );
  done = true;
  await load;
  expect(answered).toBeGreaterThan(0);
  expect(failed).toBe(0);
  expect(pidOf(after, 'prefill-1')).toBe(pidOf(before, 'prefill-1'));
  expect(after.pairs.map(({ state }) => state)).toEqual(['proven', 'proven', 'proven', 'proven']);
  const events = box.events('peers');
  const recycled = events.filter(({ type }) => type === 'recycle');
  expect(recycled.map(({ process }) => process).toSorted()).toEqual(['decode-0', 'decode-1']);
  // One at a time: the first was ready again before the second was drained.
  const states = events
    .slice(events.findIndex(({ type }) => type === 'recycle'))
    .filter(({ type, process }) => (type === 'recycle' || type === 'published') && process?.startsWith('decode'));
  expect(states.map(({ type }) => type)).toEqual(['recycle', 'published', 'recycle', 'published']);
  expect((await box.run('stop', 'peers')).code).toBe(0);
  await waitFor('nothing to be left', () => box.processes().length === 0);
});

it('a decode worker that comes back restarts nobody: its peers hand over to its new life', async () => {
  await using box = sandbox();
  const before = await killed(box, recipe(2, 1), 'decode-0');
  const after = await waitFor('it to be ready anew', async () => {
    const view = await box.status('peers');
    return view.state === 'ready' && pidOf(view, 'decode-0') !== pidOf(before, 'decode-0') ? view : undefined;
  });
  for (const name of ['prefill-0', 'prefill-1', 'frontend']) expect(pidOf(after, name)).toBe(pidOf(before, name));
  await ask(after.endpoint, 'demo');
  expect((await box.run('stop', 'peers')).code).toBe(0);
});
