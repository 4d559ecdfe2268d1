import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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

/** In a deployment that runs, texts are replaced by new files and folders of old runs are removed, also between two looks. */
function unlessGone<T>(read: () => T, gone: T): T {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return gone;
    throw error;
  }
}

/** Files below a folder that hold the text, as paths below it. Sockets hold nothing. */
function filesWith(folder: string, text: string): string[] {
  const holds = (file: string) => statSync(file).isFile() && readFileSync(file).includes(text);
  return unlessGone(() => readdirSync(folder, { withFileTypes: true }), []).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesWith(file, text).map((name) => path.join(entry.name, name));
    return unlessGone(() => holds(file), false) ? [entry.name] : [];
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
    // In this order: a controller that lives starts the next agent.
    process.kill(controller, 'SIGKILL');
    process.kill(agent, 'SIGKILL');
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

  describe('after controller and agent were killed together', () => {
    const workers = ['prefill-0', 'decode-0'];
    const recipeOf = (box: Sandbox, secretFile: string) =>
      box.file(
        'with-secrets.yaml',
        `name: quickstart
model: mock-model
engine: mocker
frontend: { port: auto }
workers:
  prefill: { env: { HF_TOKEN: { fromEnv: TEST_HUB_TOKEN } }, restart: ${QUICK} }
  decode: { env: { HF_TOKEN: { fromEnv: TEST_HUB_TOKEN }, STORE_PASSWORD: { fromFile: ${secretFile} } }, restart: ${QUICK} }
`,
      );
    const QUICK = '{ initialBackoff: 200ms, maxBackoff: 500ms, maxRestarts: 200 }';
    const serve = async (box: Sandbox, recipe: string, token: string | undefined) => {
      if (token === undefined) delete box.env['TEST_HUB_TOKEN'];
      else box.env['TEST_HUB_TOKEN'] = token;
      const { code, stderr } = await box.run('serve', recipe, '--detach');
      expect(code, stderr).toBe(0);
    };
    const kill = (pid: number | null | undefined) => process.kill(pid!, 'SIGKILL');
    const doubleDeath = async (box: Sandbox) => {
      const { controller, agent } = supervisors(await box.ready());
      kill(controller);
      kill(agent);
      await waitFor('the controller to be gone', async () => (await box.status()).unattended);
    };

    it('are known again from the processes that live', async () => {
      await using box = new Sandbox();
      const secretFile = box.file('password', `${fromFile}\n`);
      const recipe = recipeOf(box, secretFile);
      await serve(box, recipe, fromEnv);
      await doubleDeath(box);
      rmSync(secretFile);
      await serve(box, recipe, undefined);
      const worker = async () => (await box.ready()).processes.find(({ name }) => name === 'decode-0')!;
      const before = await worker();
      kill(before.pid);
      await waitFor('the worker to be back', async () => {
        const { processes } = await box.status();
        const now = processes.find(({ name }) => name === 'decode-0')!;
        return now.state === 'ready' && now.pid !== before.pid;
      });
      const environment = environmentOf((await worker()).pid!);
      expect(environment).toContain(`HF_TOKEN=${fromEnv}`);
      expect(environment).toContain(`STORE_PASSWORD=${fromFile}`);
      for (const secret of [fromEnv, fromFile]) expect(filesWith(box.home, secret)).toEqual([]);
      expect((await box.run('stop', 'quickstart')).code).toBe(0);
    });

    it('are asked for by name, with the command that brings them, where no process is left that has them', async () => {
      await using box = new Sandbox();
      const secretFile = box.file('password', `${fromFile}\n`);
      const recipe = recipeOf(box, secretFile);
      await serve(box, recipe, fromEnv);
      const { processes } = await box.ready();
      const { controller, agent } = supervisors(await box.ready());
      kill(controller);
      kill(agent);
      for (const { name, pid } of processes) if (workers.includes(name)) kill(pid);
      await waitFor('the controller to be gone', async () => (await box.status()).unattended);
      rmSync(secretFile);
      await serve(box, recipe, undefined);
      const said = await waitFor('the worker to say what it needs', async () => {
        const snapshot = await box.status();
        const decode = snapshot.processes.find(({ name }) => name === 'decode-0');
        return decode?.lastExit?.reason.includes('needs') ? decode.lastExit.reason : undefined;
      });
      expect(said).toContain('decode-0 needs HF_TOKEN (the variable TEST_HUB_TOKEN is not set), STORE_PASSWORD');
      expect(said).toContain(`Run \`TEST_HUB_TOKEN=… dynamo serve RECIPE\`, where ${secretFile} can be read`);
      // What the message says.
      box.file('password', `${fromFile}\n`);
      await serve(box, recipe, fromEnv);
      const { processes: back } = await box.ready();
      for (const name of workers)
        expect(environmentOf(back.find((process) => process.name === name)!.pid!)).toContain(`HF_TOKEN=${fromEnv}`);
      for (const secret of [fromEnv, fromFile]) expect(filesWith(box.home, secret)).toEqual([]);
      expect((await box.run('stop', 'quickstart')).code).toBe(0);
    });
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
      expect(
        unlessGone(() => statSync(path.join(box.home, file)).mode & 0o077, 0),
        file,
      ).toBe(0);
    await shown('stop', 'quickstart');
  });
});
