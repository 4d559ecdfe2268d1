import { afterAll, describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';
import { engineFolder, recipe, START_DEADLINE_MS } from './support/environment.ts';

describe.skipIf(!engineFolder)('real vLLM, one server', () => {
  const box = new Sandbox();
  afterAll(() => box[Symbol.asyncDispose](), 60_000);

  it(
    'refuses a flag that the installed version does not have, before anything starts',
    async () => {
      const flag = 'workers.aggregated.args.max-model-length=1024';
      const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', flag);
      expect(stderr).toContain('[RECIPE_INVALID]');
      expect(stderr).toMatch(/aggregated-0: vllm 0\.32\.0\S* has no flag --max-model-length.*--max-model-len/);
      expect(code).toBe(3);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
    START_DEADLINE_MS,
  );

  it(
    'reports a start that fails: cause, exit status, last lines, what to do',
    async () => {
      const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', 'model=/nowhere/model');
      expect(stderr).toContain(
        'aggregated-0 ended while starting: exit status 1: the model is neither a folder nor known',
      );
      expect(stderr).toContain('[EXITED_EARLY]');
      expect(stderr).toMatch(/HFValidationError: .*\/nowhere\/model/);
      expect(stderr).toContain('hint: Check `model` in the recipe.');
      expect(code).toBe(5);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
    START_DEADLINE_MS,
  );

  it(
    'reports a limit that the model was not made for',
    async () => {
      const limit = 'workers.aggregated.args.max-model-len=999999';
      const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', limit);
      expect(stderr).toContain('max-model-len is more than the model was made for [EXITED_EARLY]');
      expect(stderr).toContain('hint: Lower max-model-len.');
      expect(code).toBe(5);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
    START_DEADLINE_MS,
  );

  it(
    'passes smoke, and leaves neither processes nor state',
    async () => {
      const { code, stdout, stderr } = await box.run('smoke', recipe('aggregated'));
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      expect(stdout).toMatch(/\d+ checks passed, 0 failed/);
      expect(box.processes()).toEqual([]);
    },
    START_DEADLINE_MS,
  );
});
