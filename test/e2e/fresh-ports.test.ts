import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
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
    await waitFor('a new agent', async () => {
      const snapshot = await box.ready();
      return snapshot.agents[0]?.pid !== agent && snapshot;
    });
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
