import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { processesWithEnv } from '../../src/supervise/identity.ts';
import { Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const SAY = 'echo "$DYNAMO_EVENT $DYNAMO_DEPLOYMENT $DYNAMO_MODELS $DYNAMO_REASON" >> said';

/** A recipe of one simulated worker beside its hooks. */
function recipeWith(box: Sandbox, hooks: string, worker = ''): string {
  const lines = [
    'name: hooked\nmodel: mock-model\nengine: mocker\nfrontend: { port: auto }',
    `workers: { aggregated: { ${worker} } }`,
    `hooks:\n${hooks}`,
  ];
  return box.file('hooked.yaml', `${lines.join('\n')}\n`);
}

const said = (recipe: string): string[] => {
  const file = path.join(path.dirname(recipe), 'said');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
};
const hookEvents = (box: Sandbox) =>
  box
    .events('hooked')
    .filter(({ type }) => type === 'hook')
    .map(({ message }) => message);
/** What runs for a hook: everything with a run id that no agent gave. */
const hooksOf = (box: Sandbox) => {
  const hook = new Set(processesWithEnv('DYNAMO_EVENT', () => true));
  return box.processes().filter((pid) => hook.has(pid));
};

async function serveDetached(box: Sandbox, recipe: string) {
  expect(await box.run('serve', recipe, '--detach')).toMatchObject({ code: 0, stderr: '' });
  return box.ready('hooked');
}

describe('hooks of a recipe', () => {
  it('run once each: ready, a process that has failed, stop; a controller that adopts repeats none', async () => {
    await using box = new Sandbox();
    const hooks = ['onReady', 'onFailure', 'onStop'].map((event) => `  ${event}: '${SAY}'`).join('\n');
    const recipe = recipeWith(box, hooks, 'restart: never, replicas: 2');
    const first = await serveDetached(box, recipe);
    await waitFor('onReady to run', () => said(recipe).length === 1);
    expect(said(recipe)).toEqual(['ready hooked mock-model generation 1 is ready']);

    process.kill(first.processes.find(({ name }) => name === 'aggregated-0')!.pid!, 'SIGKILL');
    await waitFor('onFailure to run', () => said(recipe).length === 2);
    expect(said(recipe)[1]).toMatch(/^failure hooked mock-model aggregated-0: killed by SIGKILL/);
    await waitFor('its end to be told', () => hookEvents(box).length === 4);

    process.kill(supervisors(first).controller, 'SIGKILL');
    await waitFor('the deployment to be unattended', async () => (await box.status('hooked')).unattended);
    expect(await box.run('serve', recipe, '--detach')).toMatchObject({ code: 0 });
    expect(await box.run('restart', 'aggregated-0')).toMatchObject({ code: 0 });
    await box.ready('hooked');

    expect(await box.run('stop', 'hooked')).toMatchObject({ code: 0, stderr: '' });
    expect(said(recipe).map((line) => line.split(' ')[0])).toEqual(['ready', 'failure', 'stop']);
    expect(hookEvents(box).filter((line) => line.includes('exit status 0'))).toHaveLength(3);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('that hang, fail or are missing hold up neither a start nor a stop', async () => {
    await using box = new Sandbox();
    const recipe = recipeWith(
      box,
      "  onReady: { command: 'echo hanging; setsid sleep 600 & sleep 600', timeout: 2s }\n  onStop: { command: [./none], timeout: 1s }",
    );
    await serveDetached(box, recipe);
    await waitFor('the deadline', () => hookEvents(box).some((line) => line.includes('its timeout is')));
    expect(hookEvents(box)).toEqual([
      expect.stringMatching(/^onReady: running echo hanging/),
      expect.stringMatching(/^onReady: killed after .*: its timeout is 2\.0 s$/),
    ]);
    await waitFor('nothing of it to be left', () => hooksOf(box).length === 0);
    expect((await box.run('logs', 'hooked', 'hooks')).stdout).toContain('hanging');
    expect(await box.run('stop', 'hooked')).toMatchObject({ code: 0, stderr: '' });
    expect(hookEvents(box).at(-1)).toBe('onStop: could not be started: ENOENT');
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('that hang end at their deadline when the deployment stops, with a stop that waited no longer', async () => {
    await using box = new Sandbox();
    const recipe = recipeWith(box, '  onStop: { command: \'trap "" TERM; sleep 600\', timeout: 1s }');
    await serveDetached(box, recipe);
    expect(await box.run('stop', 'hooked')).toMatchObject({ code: 0, stderr: '' });
    expect(hookEvents(box).at(-1)).toMatch(/^onStop: killed after/);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('tell of a start that failed, which fails no later for it', async () => {
    await using box = new Sandbox();
    const recipe = recipeWith(box, `  onFailure: '${SAY}; exit 3'`, 'startTimeout: 50ms, args: { fault: never-ready }');
    const { code, stderr } = await box.run('serve', recipe, '--detach');
    expect(code, stderr).toBe(5);
    await waitFor('onFailure to end', () =>
      hookEvents(box).some((line) => line.startsWith('onFailure: exit status 3')),
    );
    expect(said(recipe)).toHaveLength(1);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('whose controller is killed are ended by the next one, and not run again', async () => {
    await using box = new Sandbox();
    const recipe = recipeWith(box, `  onReady: '${SAY}; sleep 600'`);
    const first = await serveDetached(box, recipe);
    await waitFor('onReady to run', () => said(recipe).length === 1);
    process.kill(supervisors(first).controller, 'SIGKILL');
    await waitFor('the deployment to be unattended', async () => (await box.status('hooked')).unattended);
    expect(hooksOf(box)).not.toEqual([]);
    expect(await box.run('serve', recipe, '--detach')).toMatchObject({ code: 0 });
    await waitFor('it to be ended', () => hooksOf(box).length === 0);
    const lost = 'onReady: its controller died; whether it came to its end is not known';
    await waitFor('its end to be told', () => hookEvents(box).includes(lost));
    expect(await box.run('stop', 'hooked')).toMatchObject({ code: 0, stderr: '' });
    expect(said(recipe)).toHaveLength(1);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});
