import { expect, it } from 'vitest';
import { movePortsAway } from '../../../src/plan/move-ports-away.ts';
import { planText } from '../../helpers/recipes.ts';

it('ports that others have taken are chosen anew where the plan allows it, with the flags and variables that carry them', async () => {
  const { processes } = await planText('name: r\nmodel: m\nengine: mocker\nworkers: { prefill: {}, decode: {} }\n');
  const spec = processes[0]!;
  expect(movePortsAway(spec, new Set())).toEqual(spec);
  expect(movePortsAway(spec, new Set([1, 2, 3]))).toEqual(spec);
  const [fresh] = spec.freshPorts!;
  const own = spec.ports[fresh!.purpose]!;
  const taken = new Set([own, own + 1]);
  const moved = movePortsAway(spec, taken);
  const now = moved.ports[fresh!.purpose]!;
  expect(now).not.toBe(own);
  expect(taken).toContain(now);
  expect({ ...moved, ports: {}, env: {}, argv: [], url: '' }).toEqual({
    ...spec,
    ports: {},
    env: {},
    argv: [],
    url: '',
  });
  const fixed = { ...spec, fixedPorts: Object.keys(spec.ports) };
  expect(movePortsAway(fixed, new Set([own]))).toEqual(fixed);
});
