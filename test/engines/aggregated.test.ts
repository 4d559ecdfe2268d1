import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';
import { engineFolder, recipe, START_DEADLINE_MS } from './support/environment.ts';

describe.skipIf(!engineFolder)('real vLLM, one server', () => {
  const box = new Sandbox();
  const crashFolder = path.join(box.deploymentDir('vllm-cpu-aggregated'), 'crash-reports');
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

  function crashReports(): string[] {
    const files = readdirSync(crashFolder).filter((name) => name.endsWith('.txt'));
    return files.map((name) => readFileSync(path.join(crashFolder, name), 'utf8'));
  }

  /** The model of the environment with weights that end in the middle, as an interrupted download leaves them. */
  function cutModel(): string {
    const whole = path.join(engineFolder!, 'model');
    const cut = path.join(path.dirname(box.home), 'cut-model');
    cpSync(whole, cut, { recursive: true });
    const weights = path.join(cut, 'model.safetensors');
    writeFileSync(weights, readFileSync(weights).subarray(0, 400_000));
    return cut;
  }

  const env = 'workers.aggregated.env';
  const args = 'workers.aggregated.args';
  it.each([
    {
      // 96 blocks of 128 tokens are less than half of that.
      why: 'a context that the KV cache does not hold',
      setting: () => `${args}.max-model-len=32768`,
      cause: 'the weights leave too little memory for the KV cache',
      line: /ValueError: .*max seq len \(32768\)/,
      step: 'Lower max-model-len',
    },
    {
      why: 'more memory than the machine has',
      setting: () => `${env}.VLLM_CPU_KVCACHE_SPACE=1048576`,
      cause: 'the machine had not enough free memory',
      line: /Available memory on node \d+ .* is less than requested memory for kv \(1048576/,
      step: 'Lower VLLM_CPU_KVCACHE_SPACE',
    },
    {
      why: 'weights that were cut short',
      setting: () => `model=${cutModel()}`,
      cause: 'a file of the weights is cut short or damaged',
      line: /Error while deserializing header/,
      step: 'Download the model again',
    },
  ])(
    'reports a start that fails: $why',
    async ({ setting, cause, line, step }) => {
      rmSync(crashFolder, { recursive: true, force: true });
      const { code, stderr } = await box.run('serve', recipe('aggregated'), '--set', setting());
      expect(stderr).toContain(`aggregated-0 ended while starting: exit status 1: ${cause}`);
      expect(stderr).toContain('[EXITED_EARLY]');
      // The engine process says it long before the server's last lines.
      expect(stderr).toMatch(line);
      expect(stderr).toContain(`hint: ${step}`);
      expect(code).toBe(5);
      await waitFor('nothing to be left', () => box.processes().length === 0);
      const [report, ...others] = crashReports();
      expect(others).toEqual([]);
      expect(report!.match(/^ {2}cause .*$/gm)).toEqual([expect.stringMatching(new RegExp(`${cause}$`))]);
      expect(report!.match(/^ {2}next step .*$/gm)).toEqual([expect.stringContaining(step)]);
      expect(report).toMatch(/^ {2}ended +exit status 1$/m);
      expect(report).toMatch(/^ {2}was +starting: /m);
      expect(report).toMatch(line);
    },
    START_DEADLINE_MS,
  );

  it(
    'passes smoke, and leaves neither processes nor state',
    async () => {
      const { code, stdout, stderr } = await box.run('smoke', recipe('aggregated'));
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      expect(stdout).toMatch(/\d+ checks passed, 0 failed/);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
    START_DEADLINE_MS,
  );
});
