import { expect, it } from 'vitest';
import { withOwnKit } from '../../../src/controller/own-kit.ts';

it('a deployment of this machine alone keeps its programs, and no kit is looked for', async () => {
  const setups = { local: { selfCommand: ['/usr/bin/dynamo'], discoveryRoot: '/d' } };
  expect(await withOwnKit(setups, [])).toBe(setups);
  expect(await withOwnKit(undefined, [])).toEqual({});
});
