import { expect, it } from 'vitest';
import { VLLM_REMOVED } from '../../../../src/engines/vllm/reserved.ts';
import { vllmEngine } from '../../../../src/engines/vllm/vllm-engine.ts';
import { workerSettings } from '../../../helpers/worker-settings.ts';

it.each(Object.keys(VLLM_REMOVED))('%s, which vLLM has removed, is refused with what to write now', (flag) => {
  const worker = workerSettings({ role: 'aggregated', args: { [flag.replaceAll('-', '_')]: true } });
  expect(vllmEngine.check(worker).problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/cannot be set here: vLLM has removed it/),
  ]);
});
