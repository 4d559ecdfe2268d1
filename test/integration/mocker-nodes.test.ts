import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { type MockerProcess, startMocker } from '../helpers/mocker-process.ts';
import { waitFor } from '../helpers/until.ts';

/** The members of a simulated worker over `size` hosts, which all are this one. */
async function group(size: number) {
  const [port, master] = [await freePort(), await freePort()];
  const meeting = ['--nnodes', String(size), '--master-port', String(master)];
  const member = (rank: number): Promise<MockerProcess> =>
    startMocker([...meeting, '--node-rank', String(rank)], { port, ready: false });
  const isHealthy = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      ({ status }) => status === 200,
      () => false,
    );
  return { member, isHealthy, master };
}

const said = (member: MockerProcess, text: string): Promise<boolean> =>
  waitFor(`"${text}"`, () => member.log().includes(text), 60_000);

describe('a simulated worker over several hosts', () => {
  it('is ready when all have come, in whatever order, and generates', async () => {
    const { member, isHealthy } = await group(3);
    await using follower = await member(2);
    await said(follower, 'looks for its leader');
    await using leader = await member(0);
    await said(leader, 'rank 2 of 3 has joined');
    expect(await isHealthy()).toBe(false);
    await using _last = await member(1);
    await said(leader, 'Application startup complete.');
    const answer = await leader.post('/v1/completions', { model: 'demo', prompt: 'x', max_tokens: 2 });
    expect(answer.status).toBe(200);
  });

  it('ends whole when one of it dies', async () => {
    const { member } = await group(3);
    await using leader = await member(0);
    await using first = await member(1);
    await using second = await member(2);
    await said(leader, 'Application startup complete.');
    first.child.kill('SIGKILL');
    expect(await leader.exited).toBe(1);
    expect(leader.log()).toContain('rank 1 is gone');
    expect(await second.exited).toBe(1);
    expect(second.log()).toContain('the leader is gone');
  });

  it.each([0, 1])('stops without an error when rank %i is told to, and the other one follows', async (told) => {
    const { member } = await group(2);
    await using leader = await member(0);
    await using follower = await member(1);
    await said(leader, 'Application startup complete.');
    const [first, second] = told === 0 ? [leader, follower] : [follower, leader];
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    // It sees that the other one has gone before it is told itself, or it does not.
    second.child.kill('SIGTERM');
    expect([0, 1]).toContain(await second.exited);
  });

  it('can be stopped while it waits, and is not confused by strangers at its door', async () => {
    const { member, master } = await group(2);
    await using leader = await member(0);
    await said(leader, 'waiting for 1 more host');
    const stranger = net.connect(master, '127.0.0.1');
    stranger.on('error', () => {});
    stranger.write(`GET / HTTP/1.1\r\n${'x'.repeat(100)}\r\n\r\n`);
    await once(stranger, 'close');
    leader.child.kill('SIGTERM');
    expect(await leader.exited).toBe(0);
  });
});
