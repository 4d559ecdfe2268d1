import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { deploymentPaths, makePrivateDir } from '../../../src/deployment/state-dir.ts';
import { tryLock } from '../../../src/supervise/locks.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

/** A `flock` on PATH that notes each attempt to take a lock. */
function notedFlock(demo: TestDeployment): { attempts(): number; [Symbol.dispose](): void } {
  const { PATH } = process.env;
  const notes = demo.file('attempts');
  writeFileSync(demo.file('flock'), `#!/bin/sh\necho "$1" >>'${notes}'\nPATH='${PATH}' exec flock "$@"\n`);
  chmodSync(demo.file('flock'), 0o755);
  process.env['PATH'] = `${path.dirname(notes)}:${PATH}`;
  return {
    attempts: () => (existsSync(notes) ? readFileSync(notes, 'utf8').split('--nonblock\n').length - 1 : 0),
    [Symbol.dispose]: () => {
      process.env['PATH'] = PATH;
    },
  };
}

it('a controller waits for one that is about to end: it has the lock and does not listen', async () => {
  await using demo = new TestDeployment();
  using flock = notedFlock(demo);
  makePrivateDir(demo.dir);
  const held = tryLock(deploymentPaths(demo.dir).controllerLock, { holder: 'the one before' })!;
  const before = flock.attempts();
  const started = demo.start([trivialProcess('worker-0')]);
  await Promise.race([started, waitFor('a second attempt', () => flock.attempts() >= before + 2)]);
  held.release();
  await started;
  await demo.ready();
  await demo.stop();
});

it('a controller does not wait for one that listens', async () => {
  await using demo = new TestDeployment();
  await demo.start([trivialProcess('worker-0')]);
  await expect(demo.start()).rejects.toMatchObject({ code: 'DEPLOYMENT_BUSY' });
  await demo.ready();
  await demo.stop();
});
