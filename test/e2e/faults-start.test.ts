import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const free = ['--set', 'frontend.port=auto'];

/** A recipe of one mocker worker whose engine is told to misbehave. */
const faulty = (fault: string, startTimeout = '2m') => `name: faulty
model: m
engine: mocker
frontend: { port: auto }
workers:
  aggregated:
    replicas: 2
    startTimeout: ${startTimeout}
    args: { fault: "${fault}" }
`;

describe('a start that cannot succeed', () => {
  it('names every problem of a recipe with its place, and starts nothing', async () => {
    await using box = new Sandbox();
    const recipe = box.file('bad.yaml', 'name: bad\nmodle: m\nworkers:\n  decode: { replicas: two }\n');
    const { code, stderr } = await box.run('serve', recipe);
    expect(code).toBe(3);
    expect(stderr).toContain('[RECIPE_INVALID]');
    expect(stderr).toMatch(/bad\.yaml:2:1/);
    expect(stderr).toContain('model');
    expect(stderr).toMatch(/bad\.yaml:4:/);
    expect(box.processes()).toEqual([]);
  });

  it('says so when there is no such recipe', async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run('serve', 'nowhere.yaml');
    expect(code).toBe(3);
    expect(stderr).toContain('[RECIPE_NOT_FOUND]');
    expect(stderr).toContain('hint:');
  });

  it('names the holder of a port that is in use', async () => {
    await using box = new Sandbox();
    const server = net.createServer().listen(0, '127.0.0.1');
    await waitFor('the port to be held', () => server.listening);
    const { port } = server.address() as net.AddressInfo;
    try {
      const { code, stderr } = await box.run('serve', 'quickstart', '--set', `frontend.port=${port}`);
      expect(code).toBe(4);
      expect(stderr).toContain('[PORT_IN_USE]');
      expect(stderr).toContain(String(port));
      expect(stderr).toContain(String(process.pid));
    } finally {
      server.close();
    }
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('says which command is missing and how to get it', async () => {
    await using box = new Sandbox();
    const recipe = box.file(
      'missing.yaml',
      faulty('never-ready').replace('    args:', '    command: [no-such-engine]\n    args:'),
    );
    const { code, stderr } = await box.run('serve', recipe);
    expect(stderr).toContain('[COMMAND_NOT_FOUND]');
    expect(code).toBe(4);
    expect(stderr).toContain('no-such-engine');
    expect(stderr).toMatch(/hint: .+/);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('shows status and last lines of a worker that exits at start, and undoes the others', async () => {
    await using box = new Sandbox();
    const recipe = box.file('faulty.yaml', faulty('fail-start:CUDA out of memory'));
    const { code, stderr } = await box.run('serve', recipe);
    expect(stderr).toContain('[EXITED_EARLY]');
    expect(code).toBe(5);
    expect(stderr).toMatch(/aggregated-[01] ended while starting: exit status \d+/);
    expect(stderr).toContain('CUDA out of memory');
    await waitFor('nothing to be left', () => box.processes().length === 0);
    const { stdout } = await box.run('status', 'faulty', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ state: 'failed', error: { code: 'EXITED_EARLY' } });
  });

  it('says what a worker that never gets ready was doing at the deadline', async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run('serve', box.file('faulty.yaml', faulty('never-ready', '6s')));
    expect(stderr).toContain('[NOT_READY]');
    expect(code).toBe(5);
    expect(stderr).toContain('was not ready within 6.0 s: waited for GET /health to answer 200');
    expect(stderr).toMatch(/hint: .*Its last line.* was: .+/);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('fails when a pair moves no KV blocks, although every request is answered', async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run(
      'serve',
      'quickstart',
      ...free,
      '--set',
      'workers.decode.args.fault=lie-about-transfer',
    );
    expect(stderr).toContain('[KV_PATH_FAILED]');
    expect(stderr).toMatch(/prefill-0 → decode-0: .*counters.*did not rise/);
    expect(code).toBe(5);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('is undone by Ctrl-C', async () => {
    await using box = new Sandbox();
    const recipe = box.file('slow.yaml', faulty('never-ready'));
    const serve = box.start('serve', recipe);
    await serve.readUntil(/starting +waiting/);
    serve.signal('SIGINT');
    expect(await serve.exited).toBe(0);
    expect(serve.stdout).toContain('nothing is left');
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});

describe('two of one name', () => {
  it('started at once become one deployment', async () => {
    await using box = new Sandbox();
    const both = [
      box.start('serve', 'quickstart', ...free, '--detach'),
      box.start('serve', 'quickstart', ...free, '--detach'),
    ];
    expect(await Promise.all(both.map((command) => command.exited))).toEqual([0, 0]);
    const snapshot = await box.ready();
    expect(snapshot.generation).toBe(1);
    expect(box.events().filter((event) => event.message.includes('→ ready'))).toHaveLength(5);
    expect((await box.run('stop')).code).toBe(0);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('with another recipe are refused with the difference, unless told to replace', async () => {
    await using box = new Sandbox();
    expect((await box.run('serve', 'quickstart', ...free, '--detach')).code).toBe(0);
    const before = await box.status();
    const more = ['serve', 'quickstart', ...free, '--set', 'workers.decode.replicas=3', '--detach'];
    const refused = await box.run(...more);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('[RECIPE_CHANGED]');
    expect(refused.stderr).toContain('decode-2: new');
    expect((await box.status()).generation).toBe(before.generation);
    const replaced = await box.run(...more, '--replace');
    expect(replaced.stderr).toBe('');
    expect(replaced.code).toBe(0);
    expect((await box.status()).processes.map((process) => process.name)).toContain('decode-2');
    expect((await box.run('stop')).code).toBe(0);
  });
});
