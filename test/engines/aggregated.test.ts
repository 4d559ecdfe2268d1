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

  it.each([
    ['model=/nowhere/model', /there is no file or folder \/nowhere\/model/],
    ['workers.aggregated.args.max-model-len=999999', /the model takes 32768 tokens at most/],
  ])('refuses %s before anything starts', async (setting, problem) => {
    const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', setting);
    expect(stderr).toContain('[RECIPE_INVALID]');
    expect(stderr).toMatch(problem);
    expect(code).toBe(3);
  });

  it(
    'reports a start that fails: cause, exit status, last lines, what to do',
    async () => {
      // 96 blocks of 128 tokens are less than half of that.
      const limit = 'workers.aggregated.args.max-model-len=32768';
      const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', limit);
      expect(stderr).toContain(
        'aggregated-0 ended while starting: exit status 1: the weights leave too little memory for the KV cache',
      );
      expect(stderr).toContain('[EXITED_EARLY]');
      // The engine process says it long before the server's last lines.
      expect(stderr).toMatch(/ValueError: .*max seq len \(32768\)/);
      expect(stderr).toMatch(/hint: Lower max-model-len/);
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
