import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const RECIPE = ['serve', 'mocker-aggregated', '--detach', '--set', 'frontend.port=auto'];

interface LogEntry {
  process: string;
  at: string | null;
  from: string | null;
  line: string;
}

async function logs(box: Sandbox, ...args: string[]): Promise<LogEntry[]> {
  const { stdout, stderr } = await box.run('logs', ...args, '--json');
  expect(stderr).toBe('');
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogEntry);
}

async function stops(box: Sandbox): Promise<void> {
  expect((await box.run('stop', 'mocker-aggregated')).code).toBe(0);
  await waitFor('nothing to be left', () => box.processes().length === 0);
}

describe('dynamo logs', () => {
  it('puts what processes wrote in order of time, finds, follows, and rotates what is too long', async () => {
    await using box = new Sandbox();
    expect((await box.run(...RECIPE, '--set', 'logs.maxSize=600', '--set', 'logs.keep=2')).code).toBe(0);
    const name = 'mocker-aggregated';
    await box.ready(name);

    const all = await waitFor('every line to have a time', async () => {
      const lines = await logs(box, '--tail', '1000');
      return lines.every(({ at }) => at !== null) ? lines : undefined;
    });
    const times = all.map(({ at }) => Date.parse(at!));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(all.map((entry) => entry.process))).toEqual(new Set(['aggregated-0', 'aggregated-1', 'frontend']));

    // One word that is no deployment is a process of the only one; one process has no name before its lines.
    const one = await box.run('logs', 'aggregated-0', '--grep', 'startup complete');
    expect(one.stdout).toMatch(/^INFO .*Application startup complete\.\n$/);
    expect(await logs(box, '--since', '2001-01-01', '--until', '2001-01-02')).toEqual([]);
    expect((await logs(box, '--since', '1h')).length).toBeGreaterThanOrEqual(all.length);
    expect((await box.run('logs', '--grep', '(')).stderr).toContain('--grep wants a regular expression');
    expect((await box.run('logs', 'aggregated-7')).stderr).toContain('no log of aggregated-7');

    const following = box.start('logs', '-f', '-n', '0');
    const folder = path.join(box.deploymentDir(name), 'logs');
    await waitFor('it to follow', () => {
      appendFileSync(path.join(folder, 'frontend.log'), 'are you there?\n');
      return following.stdout.includes('are you there?');
    });
    expect(following.stdout).not.toContain('startup complete');
    const snapshot = await box.status(name);
    const victim = snapshot.processes.find((process) => process.name === 'aggregated-0')!;
    process.kill(victim.pid!, 'SIGKILL');
    await following.readUntil(/aggregated-0 \| .*Application startup complete/);
    following.child.kill('SIGINT');
    expect(await following.exited).toBe(0);

    // What it wrote in its two lives is longer than 600 bytes.
    const log = path.join(folder, 'aggregated-0.log');
    await waitFor('the log to be rotated', () => existsSync(`${log}.1`) && statSync(log).size <= 600);
    const both = await logs(box, 'aggregated-0', '--tail', '1000', '--grep', 'startup complete');
    expect(both).toHaveLength(2);
    await stops(box);
    expect((await logs(box, name, '--tail', '1000', '--grep', 'startup complete')).length).toBe(3);
  });

  it('keeps a crash report that says what happened, also after stop', async () => {
    await using box = new Sandbox();
    expect((await box.run(...RECIPE)).code).toBe(0);
    const name = 'mocker-aggregated';
    const victim = (await box.ready(name)).processes.find((process) => process.name === 'aggregated-1')!;
    process.kill(victim.pid!, 'SIGSEGV');
    const exit = await waitFor('its end to be seen', async () => {
      const snapshot = await box.status(name);
      return snapshot.processes.find((process) => process.name === 'aggregated-1')?.lastExit ?? undefined;
    });
    expect(exit).toMatchObject({ signal: 'SIGSEGV', cause: 'it ended by SIGSEGV' });
    expect((await box.run('status', name)).stdout).toContain(exit.report!);
    await box.ready(name);
    await stops(box);
    const report = readFileSync(exit.report!, 'utf8');
    expect(report).toContain('aggregated-1 on local ended unasked');
    expect(report).toContain(`pid ${victim.pid}`);
    expect(report).toContain('Application startup complete.');
    expect(JSON.parse(readFileSync(exit.report!.replace(/txt$/, 'json'), 'utf8'))).toMatchObject({ signal: 'SIGSEGV' });
  });
});
