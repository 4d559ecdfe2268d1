import { chmodSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import type { Obstacle } from '../../src/commands/obstacles.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import type { LongCommand } from '../helpers/run-cli.ts';
import { waitFor } from '../helpers/until.ts';

/** `serve --wait` on a machine with two GPUs, as far as `nvidia-smi` can tell, with a fake of vLLM that takes them. */
let box: Sandbox;
let recipe: string;
beforeEach(() => {
  box = new Sandbox();
  const fake = path.join(packageRoot, 'test', 'fixtures', 'engines', 'servers', 'vllm.ts');
  const vllm = box.file('vllm', `#!/bin/sh\nexec ${process.execPath} ${fake} "$@"\n`);
  chmodSync(vllm, 0o755);
  const gpus = path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus');
  Object.assign(box.env, {
    PATH: `${path.dirname(vllm)}:${gpus}:${process.env['PATH']}`,
    FAKE_SMI_APPS: box.file('apps', ''),
  });
  recipe = box.file(
    'waiter.yaml',
    `name: holder
model: org/demo
servedModelName: demo
engine: vllm
frontend: { port: auto }
workers: { aggregated: { gpus: 1, replicas: 2, env: { FAKE_VERSION: '0.32.0', FAKE_SAYS: '', FAKE_END: serve } } }
`,
  );
});
afterEach(() => box[Symbol.asyncDispose]());

const serve = (name: string, ...more: string[]): LongCommand =>
  box.start('serve', recipe, '--name', name, '--detach', ...more);

async function served(name: string, ...more: string[]): Promise<void> {
  const { code, stderr } = await box.run('serve', recipe, '--name', name, '--detach', ...more);
  expect(code, stderr).toBe(0);
  await box.ready(name);
}

const waits = (command: LongCommand) =>
  waitFor('it to wait', () => command.stdout.includes('waiting: ')).catch((error: Error) => {
    throw new Error(`${error.message}: ${command.stdout}${command.stderr}`);
  });

it('starts as soon as another deployment is stopped, and holds nothing until then', async () => {
  await served('holder');
  const first = await box.run('serve', recipe, '--name', 'late', '--detach');
  expect(first.stderr).toContain('[GPU_UNAVAILABLE]');
  expect(first.stderr).toContain('serve --wait');
  const waiting = serve('late', '--wait');
  await waits(waiting);
  expect(waiting.stdout).toContain('waiting: GPUs 0-1 held by holder\n');
  // Of a deployment that waits there is nothing.
  expect((await box.run('status', 'late')).stderr).toContain('[NO_DEPLOYMENT]');
  expect((await box.run('stop', 'holder')).code).toBe(0);
  expect(await waiting.exited, waiting.stderr).toBe(0);
  expect(waiting.stdout).toMatch(/all is free after .*: starting\n/);
  await box.ready('late');
  // A free part is not enough: one GPU stays with its holder, the other with nobody.
  await box.run('stop', 'late');
  await served('holder', '--set', 'workers.aggregated.replicas=1');
  const json = box.start('serve', recipe, '--name', 'late', '--detach', '--wait=3s', '--json');
  expect(await json.exited).toBe(4);
  const lines = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type?: string; obstacles?: Obstacle[] });
  expect(lines[0]).toMatchObject({
    type: 'waiting',
    obstacles: [{ host: 'local', gpus: [0], why: 'held by holder' }],
  });
  expect(lines).toContainEqual({ error: expect.objectContaining({ code: 'NOT_FREE', exit: 4 }) });
  await served('other', '--set', 'workers.aggregated.replicas=1');
  // Scaling goes by the same.
  const scale = () => box.run('scale', 'aggregated=2', '--deployment', 'holder');
  const short = await scale();
  expect(short.stderr).toContain('held by other (aggregated-0)');
  await box.run('stop', 'other');
  const grown = await scale();
  expect(grown.code, grown.stderr).toBe(0);
});

it('ends on Ctrl-C with a status of its own, and on what waiting does not mend at once', async () => {
  await served('holder');
  const waiting = serve('late', '--wait');
  await waits(waiting);
  waiting.signal('SIGINT');
  expect(await waiting.exited).toBe(5);
  expect(waiting.stderr).toContain('[START_STOPPED]');
  const never = await box.run('serve', recipe, '--name', 'late', '--wait', '--set', 'workers.aggregated.replicas=3');
  expect(never.code).toBe(4);
  expect(never.stderr).toContain('[GPU_UNAVAILABLE]');
  const usage = await box.run('serve', recipe, '--wait', 'soon');
  expect(usage.code).toBe(2);
});

it('two that wait for the same: one after the other, and neither keeps the other from it', async () => {
  await served('holder');
  const both = ['left', 'right'].map((name) => ({ name, command: serve(name, '--wait') }));
  for (const { command } of both) await waits(command);
  expect((await box.run('stop', 'holder')).code).toBe(0);
  const winner = await waitFor('one of them to serve', () => both.find(({ command }) => command.child.exitCode === 0));
  const loser = both.find((one) => one !== winner)!;
  await box.ready(winner.name);
  await waitFor('the other to wait for it', () => loser.command.stdout.includes(`held by ${winner.name}`));
  expect(loser.command.child.exitCode).toBeNull();
  expect((await box.run('stop', winner.name)).code).toBe(0);
  expect(await loser.command.exited, loser.command.stderr).toBe(0);
  await box.ready(loser.name);
});
