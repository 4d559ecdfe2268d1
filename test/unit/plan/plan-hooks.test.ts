import { expect, it } from 'vitest';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { planDifference } from '../../../src/plan/plan-difference.ts';
import { describeCommand, planHooks } from '../../../src/plan/plan-hooks.ts';
import { maskPlan, renderPlan } from '../../../src/plan/render-plan.ts';
import type { Recipe } from '../../../src/recipe/recipe.ts';
import { trivialPlan } from '../../helpers/trivial-plan.ts';

const recipe = {
  hooks: {
    onReady: {
      command: ['/bin/sh', '-c', 'curl x | y'],
      timeout: 1_000,
      env: { API_TOKEN: 'abc', B: { fromEnv: 'C' } },
    },
    onStop: { command: ['tell', 'it down'], timeout: 30_000, env: {} },
  },
} as unknown as Recipe;
const plan: LaunchPlan = { ...trivialPlan('d', []), ...planHooks(recipe) };

it('hooks are shown as they were written, without their secrets', () => {
  expect(renderPlan(plan)).toContain(
    [
      'hooks',
      '  onReady    API_TOKEN=<hidden> B=<from env C> curl x | y; at most 1.0 s',
      "  onStop     tell 'it down'; at most 30.0 s",
    ].join('\n'),
  );
  expect(JSON.stringify(maskPlan(plan))).not.toContain('abc');
  expect(maskPlan(plan).hooks?.onReady?.env).toEqual({ API_TOKEN: '<hidden>', B: { fromEnv: 'C' } });
  expect(describeCommand(['/bin/sh', '-c'])).toBe('/bin/sh -c');
});

it('a changed hook is a difference; a plan without any says nothing of them', () => {
  const other = { ...plan, hooks: { ...plan.hooks, onStop: { argv: ['tell'], timeoutMs: 30_000, env: {} } } };
  expect(planDifference(plan, other)).toEqual(["hooks.onStop: tell 'it down'; at most 30.0 s → tell; at most 30.0 s"]);
  expect(planHooks({} as Recipe)).toEqual({});
  expect(renderPlan(trivialPlan('d', []))).not.toContain('hooks');
});
