import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { ask, Sandbox, successorOf, supervisors } from '../helpers/deployment-sandbox.ts';
import { freePort } from '../helpers/free-port.ts';
import { waitFor } from '../helpers/until.ts';

const NAME = 'prefill-0';

async function find(box: Sandbox, name = NAME): Promise<ProcessSnapshot> {
  return (await box.status()).processes.find((process) => process.name === name)!;
}

const backAfter = (box: Sandbox, before: ProcessSnapshot): Promise<ProcessSnapshot> =>
  waitFor(`${before.name} to be back`, async () => {
    const now = await find(box, before.name);
    return now.state === 'ready' && now.pid !== null && now.pid !== before.pid ? now : undefined;
  });

const proofs = (box: Sandbox): number =>
  box.events().filter(({ type, message }) => type === 'pair' && message.startsWith(`${NAME} → `)).length;

/** The variable as the running engine has it. */
function sideChannelOf({ pid }: ProcessSnapshot): number {
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  return Number(environment.find((entry) => entry.startsWith('VLLM_NIXL_SIDE_CHANNEL_PORT='))?.split('=')[1]);
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(socket.destroy() && true));
    socket.once('error', () => resolve(false));
  });

describe('a prefill worker that starts again', () => {
  it('comes back on another side-channel port, and its pairs are proven anew', async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run('serve', 'quickstart', '--set', 'frontend.port=auto', '--detach');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { endpoint, processes } = await box.ready();
    const used = processes.flatMap(({ ports }) => Object.values(ports));
    const first = processes.find(({ name }) => name === NAME)!;
    expect(sideChannelOf(first)).toBe(first.ports['sideChannel']);
    expect(proofs(box)).toBe(2);

    // Killed.
    process.kill(first.pid!, 'SIGKILL');
    const second = await backAfter(box, first);
    const port = second.ports['sideChannel']!;
    expect(used).not.toContain(port);
    expect(second.ports['http']).toBe(first.ports['http']);
    expect(sideChannelOf(second)).toBe(port);
    expect(await listens(port)).toBe(true);
    expect(await listens(first.ports['sideChannel']!)).toBe(false);
    expect(proofs(box)).toBe(4);
    expect((await box.status()).pairs.every(({ state }) => state === 'proven')).toBe(true);
    await ask(endpoint);

    // Its agent's successor knows the new port: it is in the journal.
    const { agent } = supervisors(await box.status());
    process.kill(agent, 'SIGKILL');
    await successorOf(box, agent);
    expect(await find(box)).toMatchObject({ pid: second.pid, ports: second.ports });
    expect(journalledPort(box)).toBe(port);

    // Restarted by hand.
    expect(await box.run('restart', NAME)).toMatchObject({ code: 0, stderr: '' });
    const third = await find(box);
    expect([...used, port]).not.toContain(third.ports['sideChannel']);
    expect(sideChannelOf(third)).toBe(third.ports['sideChannel']);
    expect(proofs(box)).toBe(6);
    await ask(endpoint);
    expect(box.events().filter(({ type, process: name }) => type === 'port' && name === NAME)).toHaveLength(2);
    expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0 });
  });
});

function journalledPort(box: Sandbox): number | undefined {
  const agents = path.join(box.deploymentDir(), 'agents');
  const [host] = readdirSync(agents);
  const journal = JSON.parse(readFileSync(path.join(agents, host!, 'journal.json'), 'utf8')) as {
    processes: { spec: { name: string; ports: Record<string, number> } }[];
  };
  return journal.processes.find(({ spec }) => spec.name === NAME)?.spec.ports['sideChannel'];
}

/** Answers everything with 200, and lists every model: what a probe alone would take for a worker. */
const stranger = (): http.Server => http.createServer((_, response) => response.end('{"data":[{"id":"mock-model"}]}'));

/** Ends a process and listens on its ports before its agent, suspended meanwhile, can start it again. */
async function squat(box: Sandbox, { pid }: ProcessSnapshot, servers: [net.Server, number][]): Promise<void> {
  const { agent } = supervisors(await box.status('squatted'));
  process.kill(agent, 'SIGSTOP');
  try {
    process.kill(pid!, 'SIGKILL');
    for (const [server, port] of servers) await listenWhenFree(server, port);
  } finally {
    process.kill(agent, 'SIGCONT');
  }
}

async function listenWhenFree(server: net.Server, port: number): Promise<void> {
  const listens = () =>
    new Promise<boolean>((resolve) => {
      server.removeAllListeners('error').once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
  await waitFor(`port ${port} to be free`, listens);
}

const RECIPE = (port: string) => `name: squatted
engine: mocker
model: mock-model
frontend: { port: auto }
kvEvents: true
workers:
  prefill: { replicas: 1, restart: { initialBackoff: 100ms } }
  decode: { replicas: 1, restart: { initialBackoff: 100ms }${port} }
`;

describe('a worker whose HTTP port a stranger takes while it is down', () => {
  it('comes back on another, is published and paired there, and the stranger is left alone', async () => {
    await using box = new Sandbox();
    const recipe = box.file('recipe.yaml', RECIPE(''));
    expect(await box.run('serve', recipe, '--detach')).toMatchObject({ code: 0, stderr: '' });
    const { endpoint } = await box.ready('squatted');
    const findHere = async () => (await box.status('squatted')).processes.find(({ name }) => name === 'decode-0')!;
    const first = await findHere();
    const server = stranger();
    const asked: string[] = [];
    server.on('request', (request: http.IncomingMessage) => void asked.push(request.url ?? ''));
    const listener = net.createServer();
    await squat(box, first, [
      [server, first.ports['http']!],
      [listener, first.ports['kvEvents']!],
    ]);
    const second = await waitFor('decode-0 to be back', async () => {
      const now = await findHere();
      return now.state === 'ready' && now.generation > first.generation && now;
    });
    expect(second.ports['http']).not.toBe(first.ports['http']);
    expect(second.url).toBe(`http://127.0.0.1:${second.ports['http']}`);
    expect(second.restarts).toBe(1);
    const moved = box.events('squatted').filter(({ type, message }) => type === 'port' && message.includes(' http '));
    expect(moved.map(({ message }) => message)).toEqual([
      expect.stringContaining(
        `gets http port ${second.ports['http']}, not ${first.ports['http']}, which is held by pid ${process.pid} (`,
      ),
    ]);
    expect((await box.status('squatted')).pairs.map(({ state }) => state)).toEqual(['proven']);
    await waitFor('the frontend to know it', () => ask(endpoint).then(Boolean, () => undefined));
    const health = (await (await fetch(`${endpoint}/health`)).json()) as {
      instances: { name: string; url?: string }[];
    };
    expect(health.instances.map(({ name }) => name).sort()).toEqual(['decode-0', 'prefill-0']);
    const metrics = await (await fetch(`${second.url}/metrics`)).text();
    expect(metrics).toContain('vllm:');
    expect(asked.filter((url) => url.startsWith('/v1/'))).toEqual([]);

    // Its KV events come from where it publishes now.
    expect(second.ports['kvEvents']).not.toBe(first.ports['kvEvents']);
    await ask(endpoint, 'mock-model', 200);
    const events = box.start('doctor', 'kv-events', 'squatted', '--for', '600', '--json');
    await events.readUntil(/"worker":"decode-0".*"hashes":\["\d/);
    events.signal('SIGINT');
    expect(await events.exited).toBe(0);

    // What is started beside it meets it where it is now.
    expect(await box.run('scale', 'prefill=2', '--deployment', 'squatted')).toMatchObject({ code: 0 });
    const { pairs } = await box.ready('squatted');
    expect(pairs.map(({ prefill, state }) => `${prefill} ${state}`)).toEqual(['prefill-0 proven', 'prefill-1 proven']);
    expect(asked.filter((url) => url.startsWith('/v1/'))).toEqual([]);
    listener.close();

    // It keeps what it has now: in the journal, and at the next restart, though the old port is free again.
    server.close();
    expect(await box.run('restart', 'decode-0', '--deployment', 'squatted')).toMatchObject({ code: 0 });
    expect((await findHere()).ports['http']).toBe(second.ports['http']);
    await ask(endpoint);
    expect(await box.run('stop', 'squatted')).toMatchObject({ code: 0 });
  });

  it('waits for a port that the recipe writes down, says who has it, and comes back there', async () => {
    await using box = new Sandbox();
    const written = await freePort();
    const recipe = box.file('recipe.yaml', RECIPE(`, port: ${written}`));
    expect(await box.run('serve', recipe, '--detach')).toMatchObject({ code: 0 });
    const { endpoint } = await box.ready('squatted');
    const findHere = async () => (await box.status('squatted')).processes.find(({ name }) => name === 'decode-0')!;
    const first = await findHere();
    expect(first.ports['http']).toBe(written);
    const server = stranger();
    await squat(box, first, [[server, written]]);
    const waiting = await waitFor('decode-0 to wait', async () => {
      const now = await findHere();
      return now.waitingFor?.includes(`http port ${written}`) && now;
    });
    expect(waiting).toMatchObject({ state: 'backoff', restarts: 0 });
    expect(waiting.waitingFor).toContain(`held by pid ${process.pid} (`);
    const { stdout } = await box.run('status', 'squatted');
    expect(stdout).toContain(`http port ${written}`);
    server.close();
    const back = await waitFor('decode-0 to be back', async () => {
      const now = await findHere();
      return now.state === 'ready' && now.generation > first.generation && now;
    });
    expect(back).toMatchObject({ restarts: 1, ports: { http: written } });
    await waitFor('the frontend to know it', () => ask(endpoint).then(Boolean, () => undefined));

    // Restarted by hand: whoever asked is told what it waits for.
    const drained = box.run('drain', 'decode-0', '--deployment', 'squatted');
    expect(await drained).toMatchObject({ code: 0 });
    const other = http.createServer();
    await listenWhenFree(other, written);
    const restart = box.start('restart', 'decode-0', '--deployment', 'squatted');
    await waitFor('the wait to be told', () => restart.stderr.includes(`http port ${written}, which is held by pid`));
    other.close();
    expect(await restart.exited).toBe(0);
    expect(await box.run('stop', 'squatted')).toMatchObject({ code: 0 });
  });
});
