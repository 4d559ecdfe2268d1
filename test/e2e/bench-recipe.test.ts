import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';
import { waitFor } from '../helpers/until.ts';

const LOAD = ['--concurrency', '4', '--request-count', '40', '--isl', '64', '--osl', '16'];
const kept = (box: Sandbox) =>
  existsSync(path.join(box.home, 'deployments')) ? readdirSync(path.join(box.home, 'deployments')) : [];

/** The controller ends once its client has gone. */
const leavesNothing = (box: Sandbox) => waitFor('nothing to be left', () => box.processes().length === 0);

describe('dynamo bench with a recipe', () => {
  it('serves, measures, draws, stops, and leaves nothing', async () => {
    await using box = new Sandbox();
    const { code, stdout, stderr } = await box.run('bench', 'recipes/mocker-aggregated.yaml', ...LOAD);
    expect(stderr).toMatch(/^serving .*mocker-aggregated\.yaml as bench-[0-9a-f]{8}: 3 processes\nready in /);
    expect(stderr).toContain('is stopped; nothing is left');
    expect(stdout).toContain('40 answered, 0 failed');
    expect(stdout).toMatch(/^Time to first token \(ms\): p50 /m);
    expect(stdout).toMatch(/^Output tokens per second over time$/m);
    expect(code).toBe(0);
    await leavesNothing(box);
    expect(kept(box)).toEqual([]);
  });

  it('takes overrides, leaves charts out, keeps what it was asked to keep', async () => {
    await using box = new Sandbox();
    const set = ['--set', 'workers.aggregated.replicas=1', '--no-chart', '--keep'];
    const { code, stdout, stderr } = await box.run('bench', 'mocker-aggregated', ...LOAD, ...set);
    expect(stderr).toContain('2 processes');
    expect(stdout).not.toContain('over time');
    expect(code).toBe(0);
    expect(kept(box)).toHaveLength(1);
    await leavesNothing(box);
  });

  it('stops everything when requests fail, and says where the logs are', async () => {
    await using box = new Sandbox();
    const broken = ['--set', 'workers.aggregated.args.max-model-len=32'];
    const { code, stdout, stderr } = await box.run('bench', 'mocker-aggregated', ...LOAD, ...broken);
    expect(stdout).toContain('40 failed');
    expect(stderr).toMatch(/state and logs are kept: dynamo logs bench-/);
    expect(code).toBe(8);
    await leavesNothing(box);
  });

  it('stops everything when it is interrupted, in the start and in the run', async () => {
    await using box = new Sandbox();
    const slow = ['--set', 'workers.aggregated.args.startup-time=60'];
    const starting = box.start('bench', 'mocker-aggregated', ...LOAD, ...slow);
    await starting.readUntil(/^serving /m);
    await waitFor('something to run', () => box.processes().length > 0);
    starting.signal('SIGINT');
    expect(await starting.exited).toBe(5);
    const running = box.start('bench', 'mocker-aggregated', '--benchmark-duration', '600', '--osl', '16');
    await running.readUntil(/^ready in /m);
    await running.readUntil(/^requests \d+\/\? · .* req\/s/m);
    running.signal('SIGINT');
    expect(await running.exited).toBe(0);
    expect(running.stdout).toContain('cancelled');
    await leavesNothing(box);
  });

  it.each([
    [['nosuch.yaml'], 3, 'RECIPE_NOT_FOUND'],
    [['nosuch'], 7, 'NO_DEPLOYMENT'],
    [['http://127.0.0.1:9', '--set', 'a=b'], 2, '--set, --hosts, --node-archive and --keep are for recipes'],
    [['mocker-aggregated', '--concurrency', 'x'], 2, '--concurrency: x is not'],
  ])('%j ends with %i before anything is started', async (args, status, message) => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run('bench', ...args);
    expect(stderr).toContain(message);
    expect(code).toBe(status);
    expect(kept(box)).toEqual([]);
  });
});

describe.skipIf(!hasTmux)('dynamo bench on a terminal', () => {
  it.each([
    [60, { LC_ALL: 'C', NO_COLOR: '1' }],
    [80, {}],
    [120, {}],
  ])('fits %i columns, running and at the end', async (columns, env) => {
    await using box = new Sandbox();
    const args = ['bench', 'mocker-aggregated', '--concurrency', '4', '--benchmark-duration', '600', '--osl', '64'];
    using screen = new TmuxTerminal(args, { ...box.env, ...env }, { columns, rows: 80 });
    // Ended when it has been looked at, not by a time that may pass before that.
    const running = await screen.shows(/requests \d{2,}\/\?.* req\/s.* tok\/s/);
    expect(running).not.toContain('undefined');
    process.kill(screen.commandPid(), 'SIGINT');
    expect(await screen.exitStatus()).toBe(0);
    const text = screen.screen();
    // What wrapped would show as a bar at the beginning of a line.
    expect(text).not.toMatch(/^[█#▁-▇]/m);
    expect(text).toMatch(/^Time to first token/m);
    if ('LC_ALL' in env) expect(text.slice(text.indexOf('Time to first token'))).toMatch(/^[\x20-\x7e\n]*$/);
  });
});
