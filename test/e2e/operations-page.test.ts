import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { deploymentPaths } from '../../src/deployment/state-dir.ts';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { kill } from '../helpers/kill.ts';
import { OF_SEVERAL_HOSTS, OF_TAKEN_GPUS, printedBy, ShownOutputs } from '../helpers/shown-outputs.ts';
import { waitFor } from '../helpers/until.ts';

/** Every output that docs/operations.md shows is made to be printed; those of several hosts by hosts-pages.test.ts. */
const shown = new ShownOutputs(readFileSync(path.join(packageRoot, 'docs', 'operations.md'), 'utf8'));

/** A process that SIGKILL does not end needs a broken driver or file system. */
const CANNOT_BE_MADE = ['`dynamo stop` leaves something, 0'];

const free = ['--set', 'frontend.port=auto'];

/** Runs what the page says, as it stands but for the port of `serve` and the files of the test. */
const typeIn =
  (box: Sandbox, names: Record<string, string> = {}) =>
  (words: readonly string[]) =>
    box.run(...words.map((word) => names[word] ?? word), ...(words[0] === 'serve' ? free : []));

describe('docs/operations.md: one deployment through its troubles', () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = new Sandbox();
    const { code, stderr } = await box.run('serve', 'recipes/quickstart.yaml', ...free, '--detach');
    expect(code, stderr).toBe(0);
  });
  afterAll(() => box?.[Symbol.asyncDispose]());

  const pidOf = async (name: string) => (await box.status()).processes.find((process) => process.name === name)!.pid;
  const status = async () => printedBy(await box.run('status', 'quickstart'));

  it('a worker that dies', async () => {
    await shown.comesToShow('A worker dies', 0, async () => {
      // Again where it was too quick to be seen.
      const pid = await pidOf('decode-1');
      if (pid !== null) kill(pid, 'SIGKILL');
      return status();
    });
    await box.ready();
  });

  it('a worker taken out and in again; none left', async () => {
    await shown.expectTyped('Taking one worker out', 0, typeIn(box));
    const { endpoint } = await box.ready();
    for (const name of ['decode-0', 'decode-1']) expect((await box.run('drain', name)).code).toBe(0);
    const response = await fetch(`${endpoint}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'mock-model', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    expect(response.status).toBe(503);
    shown.expect('No worker of a kind is left', 0, [await response.text()]);
    const health = await fetch(`${endpoint}/health`);
    expect(health.status).toBe(503);
    expect(await health.text()).toContain('"stage":"mock-model: no decode worker is ready"');
    for (const name of ['decode-0', 'decode-1']) expect((await box.run('restart', name)).code).toBe(0);
    await box.ready();
  });

  it('the controller dead, then adopted; controller and agent dead', async () => {
    kill(supervisors(await box.ready()).controller, 'SIGKILL');
    await shown.comesToShow('The controller dies', 0, status);
    await shown.expectTyped('The controller dies', 1, typeIn(box));
    const { controller, agent } = supervisors(await box.ready());
    kill(controller, 'SIGKILL');
    kill(agent, 'SIGKILL');
    await shown.comesToShow('Controller and agent die', 0, status);
    const adopted = await box.run('serve', 'recipes/quickstart.yaml', ...free, '--detach');
    expect(adopted.code, adopted.stderr).toBe(0);
    await box.ready();
  });

  it('the store away', async () => {
    const folder = deploymentPaths(box.deploymentDir()).discovery;
    const away = `${folder}.away`;
    renameSync(folder, away);
    writeFileSync(folder, '');
    await shown.comesToShow('The discovery store is gone', 0, status);
    await shown.comesToShow('The discovery store is gone', 1, async () => [
      ...readFileSync(path.join(box.deploymentDir(), 'logs', 'frontend.log'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('discovery store')),
      ...readFileSync(deploymentPaths(box.deploymentDir()).events, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"process":"decode-1","type":"lease-lost"')),
    ]);
    kill((await pidOf('decode-0'))!, 'SIGKILL');
    await shown.comesToShow('The discovery store is gone', 2, status);
    rmSync(folder);
    renameSync(away, folder);
    await box.ready();
  });

  it('the controller suspended', async () => {
    const { controller } = supervisors(await box.ready());
    kill(controller, 'SIGSTOP');
    const refused = await box.run('serve', 'recipes/quickstart.yaml', ...free, '--detach');
    shown.expect('The controller is suspended (SIGSTOP, a stopped container)', 0, printedBy(refused));
    await shown.expectTyped('The controller is suspended (SIGSTOP, a stopped container)', 1, typeIn(box));
    expect(box.processes()).toEqual([]);
  });
});

describe('docs/operations.md: workers that misbehave', () => {
  const faulty = (fault: string, more = '') => `name: faulty
model: m
engine: mocker
frontend: { port: auto }
workers:
  prefill: {}
  decode: { startTimeout: 4s, ${fault && `args: { fault: "${fault}" }, `}${more} }
`;

  it('fails for good', async () => {
    await using box = new Sandbox();
    const recipe = box.file('faulty.yaml', faulty('crash-on-request:8', 'restart: { maxRestarts: 1 }'));
    const { code, stderr } = await box.run('serve', recipe, '--detach');
    expect(code, stderr).toBe(0);
    const { endpoint } = await box.status('faulty');
    await shown.comesToShow('A worker dies', 1, async () => {
      for (let requests = 0; requests < 8; requests += 1) await ask(endpoint, 'm').catch(() => {});
      return printedBy(await box.run('status', 'faulty'));
    });
    await box.run('stop', 'faulty');
  });

  it('hangs', async () => {
    await using box = new Sandbox();
    const recipe = box.file('faulty.yaml', faulty('', 'liveness: { period: 300ms, timeout: 1s }'));
    const { code, stderr } = await box.run('serve', recipe, '--detach');
    expect(code, stderr).toBe(0);
    const { processes } = await box.status('faulty');
    kill(processes.find((process) => process.name === 'decode-0')!.pid!, 'SIGSTOP');
    await shown.comesToShow('A worker hangs', 0, async () =>
      readFileSync(deploymentPaths(box.deploymentDir('faulty')).events, 'utf8').split('\n'),
    );
    await box.run('stop', 'faulty');
  });
});

describe('docs/operations.md: starts that fail', () => {
  const one = (more: string, port: number | string = 'auto') => `name: faulty
model: m
engine: mocker
frontend: { port: ${port} }
workers:
  prefill: {}
  decode: { startTimeout: 4s${more} }
`;
  const fails = async (box: Sandbox, recipe: string) => {
    const result = await box.run('serve', box.file('faulty.yaml', recipe), '--detach');
    expect(result.code).not.toBe(0);
    await waitFor('nothing to be left', () => box.processes().length === 0);
    return printedBy(result);
  };

  it('an engine that ends, or is never ready', async () => {
    await using box = new Sandbox();
    shown.expect('A start fails', 0, await fails(box, one(', args: { fault: "fail-start:CUDA out of memory" }')));
    shown.expect('A start fails', 1, await fails(box, one(', args: { fault: never-ready }')));
  });

  it('a port in use', async () => {
    await using box = new Sandbox();
    const holder = await box.run('serve', 'quickstart', ...free, '--detach');
    expect(holder.code, holder.stderr).toBe(0);
    const { endpoint } = await box.ready();
    const result = await box.run('serve', box.file('faulty.yaml', one('', new URL(endpoint).port)), '--detach');
    shown.expect('A start fails', 2, printedBy(result));
  });

  it('a pair that does not transfer', async () => {
    await using box = new Sandbox();
    shown.expect('A start fails', 3, await fails(box, one(', args: { fault: refuse-transfer }')));
  });

  it('a controller that dies', async () => {
    await using box = new Sandbox();
    const recipe = box.file('faulty.yaml', one(', args: { fault: never-ready }').replace('4s', '60s'));
    const serve = box.start('serve', recipe, '--detach');
    await serve.readUntil(/decode-0 +starting/);
    kill(supervisors(await box.status('faulty')).controller, 'SIGKILL');
    expect(await serve.exited).not.toBe(0);
    shown.expect('The controller dies during a start', 0, serve.stderr.split('\n'));
    const stopped = await box.run('stop', 'faulty');
    expect(stopped.code, stopped.stderr).toBe(0);
  });

  it('a GPU that somebody uses', async () => {
    await using box = new Sandbox();
    const gpus = path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus');
    using stranger = sleeper();
    const apps = box.file('apps', `GPU-00000001-aaaa-bbbb-cccc-dddddddddddd, ${stranger.pid}, 70000, python3\n`);
    const fake = path.join(packageRoot, 'test', 'fixtures', 'engines', 'servers', 'vllm.ts');
    const vllm = box.file('vllm', `#!/bin/sh\nexec ${process.execPath} ${fake} "$@"\n`);
    chmodSync(vllm, 0o755);
    Object.assign(box.env, { PATH: `${path.dirname(vllm)}:${gpus}:${process.env['PATH']}`, FAKE_SMI_APPS: apps });
    const recipe = box.file(
      'two.yaml',
      'name: two\nmodel: m\nengine: vllm\nfrontend: { port: auto }\nworkers: { aggregated: { gpus: 1, replicas: 2, env: { FAKE_VERSION: 0.32.0, FAKE_SAYS: "", FAKE_END: serve } } }\n',
    );
    const result = await box.run('serve', recipe, '--detach');
    const printed = printedBy(result).map((line) => line.replace(` of ${os.userInfo().username} `, ' of bob '));
    shown.expect('GPUs are taken, or a host is away', 0, printed);
  });
});

it('docs/operations.md: a recipe that changed', async () => {
  await using box = new Sandbox();
  const text = (speed: number) => `name: mine
model: m
engine: mocker
frontend: { port: auto }
workers:
  prefill: { replicas: 2, args: { speedup-ratio: ${speed} } }
  decode: { args: { speedup-ratio: ${speed} } }
`;
  const recipe = box.file('my-recipe.yaml', text(10));
  const { code, stderr } = await box.run('serve', recipe, '--detach');
  expect(code, stderr).toBe(0);
  box.file('my-recipe.yaml', text(20));
  await shown.expectTyped('The recipe changed', 0, typeIn(box, { 'my-recipe.yaml': recipe }));
  await box.run('stop', 'mine');
});

it('docs/operations.md: every output was made', () => {
  expect(shown.left().sort()).toEqual([...OF_SEVERAL_HOSTS, OF_TAKEN_GPUS, ...CANNOT_BE_MADE].sort());
});

/** A process that does nothing, for as long as it is needed. */
function sleeper(): Disposable & { pid: number } {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  return { pid: child.pid!, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
