import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

let locks: ReturnType<typeof tmpDir>;
let demo: TestDeployment;
beforeEach(() => {
  locks = tmpDir();
  process.env['DYNAMO_LOCK_DIR'] = locks.dir;
  demo = new TestDeployment();
});
afterEach(async () => {
  await demo[Symbol.asyncDispose]();
  delete process.env['DYNAMO_LOCK_DIR'];
  locks[Symbol.dispose]();
});

it('a worker that shares its GPU is restarted by an agent that came later', async () => {
  await demo.start([trivialProcess('worker-0', { gpus: [0] }), trivialProcess('worker-1', { gpus: [0] })]);
  const before = await demo.ready();
  const agent = await demo.agentPid();
  process.kill(agent, 'SIGKILL');
  await waitFor('another agent', async () => (await demo.agentPid()) !== agent);
  process.kill(before.processes[1]!.pid!, 'SIGKILL');
  const back = await demo.process(
    'worker-1',
    'back',
    (entry) => entry.state === 'ready' && entry.generation > 1 && entry.pid !== null,
  );
  expect(back.restarts).toBe(1);
  // The GPU stays taken for others while either of them lives.
  await using other = new TestDeployment('other');
  await other.start([trivialProcess('worker-0', { gpus: [0] })]);
  expect((await other.failed()).error?.code).toBe('GPU_UNAVAILABLE');
  await demo.stop();
});
