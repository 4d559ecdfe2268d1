import { expect, it } from 'vitest';
import { stopDeployment } from '../../../src/deployment/start-deployment.ts';
import { isAlive, ownWorld, readStat } from '../../../src/supervise/identity.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

it('a stop with a host that does not answer ends the rest, says what stays, and is finished by the next one', async () => {
  await using demo = new TestDeployment();
  const { pid } = await demo.start([trivialProcess('worker-0'), trivialProcess('worker-1', { host: 'b' })], {
    hosts: ['local', 'b'],
  });
  const before = await demo.ready();
  const agent = before.agents.find(({ host }) => host === 'b')!.pid!;
  const [here, there] = before.processes.map(({ pid }) => pid!);
  const identityOf = (pid: number) => ({ ...ownWorld(), pid, startTime: readStat(pid)!.startTime, runId: '' });
  const [own, other] = [identityOf(here!), identityOf(there!)];
  process.kill(agent, 'SIGSTOP');
  const error: unknown = await stopDeployment('trivial', demo.dir, { force: true }).catch((thrown: unknown) => thrown);
  process.kill(agent, 'SIGCONT');
  expect(error).toMatchObject({
    code: 'STOP_INCOMPLETE',
    message: 'a host of trivial cannot be reached; what runs there stays',
    details: [expect.stringContaining('b: ')],
  });
  expect(isAlive(own)).toBe(false);
  expect(demo.record).toMatchObject({
    phase: 'stopping',
    error: { code: 'STOP_INCOMPLETE' },
    stoppedHosts: ['local'],
  });
  await demo.ended(pid);
  // The frozen agent has the request in its socket: it may act on it now that it is awake. The next stop finds either.
  await stopDeployment('trivial', demo.dir, { force: true });
  await demo.empty();
  expect(isAlive(other)).toBe(false);
  expect(demo.record).toMatchObject({ phase: 'stopped', error: null });
});
