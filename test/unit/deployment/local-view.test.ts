import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { writeControllerIdentity } from '../../../src/deployment/controller-identity.ts';
import { readSnapshot } from '../../../src/deployment/local-view.ts';
import { writeRecord } from '../../../src/deployment/record.ts';
import { deploymentDir, deploymentPaths, makePrivateDir } from '../../../src/deployment/state-dir.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialPlan, trivialProcess } from '../../helpers/trivial-plan.ts';

let tmp: ReturnType<typeof tmpDir>;
beforeEach(() => {
  tmp = tmpDir();
  vi.stubEnv('DYNAMO_HOME', tmp.dir);
  const { dir, record } = deploymentPaths(deploymentDir('alpha'));
  makePrivateDir(dir);
  writeRecord(record, {
    ...{ name: 'alpha', recipeFile: 'alpha.yaml', recipeHash: '', recipeText: '', planHash: '', generation: 1 },
    ...{ plan: trivialPlan('alpha', [trivialProcess('worker-0')]), phase: 'starting', error: null },
    startedAt: new Date(0).toISOString(),
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
  tmp[Symbol.dispose]();
});

it('a start whose controller lives and does not listen yet is not lost', async () => {
  writeControllerIdentity(deploymentDir('alpha'));
  expect(await readSnapshot('alpha')).toMatchObject({ state: 'starting', error: null });
});

it('a start without a controller and without agents is lost', async () => {
  expect(await readSnapshot('alpha')).toMatchObject({ state: 'failed', error: { code: 'START_LOST' } });
});
