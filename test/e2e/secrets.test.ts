import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

/**
 * Secrets are named in recipes, never written. Whatever is done with a deployment, their values stand in the environment of its
 * processes and hooks and nowhere else: no command line, no file, no output.
 */
const fromEnv = `env-${randomUUID()}`;
const fromFile = `file-${randomUUID()}`;
const literal = `literal-${randomUUID()}`;

/** Files below a folder that hold the text, as paths below it. Sockets hold nothing. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const file = path.join(folder, name);
    return statSync(file).isFile() && readFileSync(file).includes(text);
  });
}

/** Command lines of all processes of this machine that hold the text. */
function commandLinesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return ''; // ended in the meantime
      }
    })
    .filter((line) => line.includes(text));
}

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
}

describe('secrets of a recipe', () => {
  it('are in the environment of the processes and nowhere else, through crashes, restarts and adoption', async () => {
    await using box = new Sandbox();
    mkdirSync(box.home, { recursive: true });
    const secretFile = box.file('hub-token', `${fromFile}\n`);
    box.env['TEST_HUB_TOKEN'] = fromEnv;
    const recipe = box.file(
      'with-secrets.yaml',
      `name: quickstart
model: mock-model
engine: mocker
frontend: { port: auto }
hooks: { onReady: { command: ["true"], env: { HOOK_TOKEN: { fromEnv: TEST_HUB_TOKEN }, HOOK_KEY: { fromFile: ${secretFile} } } } }
workers:
  prefill: { env: { HF_TOKEN: { fromEnv: TEST_HUB_TOKEN }, STORE_PASSWORD: { fromFile: ${secretFile} } } }
  decode: { env: { HF_TOKEN: { fromEnv: TEST_HUB_TOKEN }, STORE_PASSWORD: { fromFile: ${secretFile} } } }
`,
    );
    const outputs: string[] = [];
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await box.run(...args);
      outputs.push(`$ ${args.join(' ')}\n${stdout}${stderr}`);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
    };
    const nowhere = () => {
      for (const secret of [fromEnv, fromFile]) {
        expect(filesWith(box.home, secret)).toEqual([]);
        expect(commandLinesWith(secret)).toEqual([]);
        expect(outputs.filter((output) => output.includes(secret))).toEqual([]);
      }
    };

    await run('plan', recipe);
    await run('plan', recipe, '--json');
    await run('recipe', 'show', recipe);
    await run('serve', recipe, '--detach');
    const served = await box.ready();
    const [worker] = served.processes.filter(({ role }) => role === 'decode');
    const environment = environmentOf(worker!.pid!);
    expect(environment).toContain(`HF_TOKEN=${fromEnv}`);
    expect(environment).toContain(`STORE_PASSWORD=${fromFile}`);
    nowhere();

    // A crash has a report, and the restart needs the secrets again; so does a new agent and a new controller.
    process.kill(worker!.pid!, 'SIGKILL');
    const incarnation = () =>
      box.status().then(({ processes }) => processes.find(({ name }) => name === worker!.name)!);
    await waitFor('the worker to be back', async () => {
      const now = await incarnation();
      return now.state === 'ready' && now.pid !== worker!.pid;
    });
    expect(readdirSync(path.join(box.deploymentDir(), 'crash-reports')).length).toBeGreaterThan(0);
    const { controller, agent } = supervisors(served);
    process.kill(agent, 'SIGKILL');
    process.kill(controller, 'SIGKILL');
    await waitFor('the controller to be gone', async () => (await box.status()).unattended);
    await run('serve', recipe, '--detach');
    await box.ready();
    await run('restart', worker!.name);
    expect(environmentOf((await incarnation()).pid!)).toContain(`HF_TOKEN=${fromEnv}`);

    for (const args of [
      ['status', '--json'],
      ['logs'],
      ['logs', '--json'],
      ['events', '--json'],
      ['open', '--json'],
      ['env'],
    ])
      await run(...args);
    nowhere();
    await run('stop', 'quickstart');
    nowhere();
    // What is looked through is where they are named.
    expect(filesWith(box.home, 'TEST_HUB_TOKEN')).toContain('deployments/quickstart/deployment.json');
  });

  it('that are written in spite of it are shown by no command', async () => {
    await using box = new Sandbox();
    const recipe = box.file(
      'written.yaml',
      `name: quickstart
model: mock-model
engine: mocker
frontend: { port: auto }
hooks: { onReady: { command: ["true"], env: { HOOK_TOKEN: ${literal} } } }
workers:
  aggregated: { env: { HF_TOKEN: ${literal} } }
`,
    );
    const shown = async (...args: string[]) => {
      const { code, stdout, stderr } = await box.run(...args);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
      expect(`${stdout}${stderr}`, args.join(' ')).not.toContain(literal);
    };
    for (const args of [
      ['plan', recipe],
      ['plan', recipe, '--json'],
      ['recipe', 'show', recipe],
      ['serve', recipe, '--detach'],
    ])
      await shown(...args);
    await box.ready();
    for (const args of [
      ['status', '--json'],
      ['logs', '--json'],
      ['events', '--json'],
    ])
      await shown(...args);
    expect(commandLinesWith(literal)).toEqual([]);
    // The plan must hold what a worker is given: its files are for their owner alone.
    for (const file of filesWith(box.home, literal))
      expect(statSync(path.join(box.home, file)).mode & 0o077, file).toBe(0);
    await shown('stop', 'quickstart');
  });
});
