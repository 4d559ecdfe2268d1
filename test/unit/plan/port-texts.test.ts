import { expect, it } from 'vitest';
import { movePort } from '../../../src/plan/move-port.ts';
import { namesPort, writeLaunchPorts } from '../../../src/plan/port-texts.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

it('a launch gets its numbers, and the places of its own ports are kept', () => {
  const launch = {
    argv: ['engine', '--port', '{port:http}', '--seed', '8100', '--master', '10.0.0.1:{port:master}', '{port:unknown}'],
    env: { SIDE: '{port:side}', SECRET: { fromEnv: '{port:side}' } },
    reasons: ['meets at port {port:master}'],
  };
  expect(writeLaunchPorts(launch, { http: 8100, side: 5600, master: 29501 }, { http: 8100, side: 5600 })).toEqual({
    argv: ['engine', '--port', '8100', '--seed', '8100', '--master', '10.0.0.1:29501', '{port:unknown}'],
    env: { SIDE: '5600', SECRET: { fromEnv: '{port:side}' } },
    reasons: ['meets at port 29501'],
    portTexts: [
      { word: 2, text: '{port:http}' },
      { env: 'SIDE', text: '{port:side}' },
    ],
  });
});

it.each([
  'engine: mocker\nkvEvents: true\nworkers: { prefill: {}, decode: {} }',
  'engine: mocker\nworkers: { aggregated: {} }',
  'engine: vllm\nkvEvents: true\nworkers: { prefill: { gpus: 0 }, decode: { gpus: 0 } }',
  'engine: sglang\nkvEvents: true\nworkers: { prefill: {}, decode: {} }',
  'engine: trtllm\nworkers: { prefill: {}, decode: {} }',
  'engine: llamacpp\nworkers: { aggregated: {} }',
])('every port that a restart may take anew can move: %s', async (text) => {
  const { processes } = await planText(`name: r\nmodel: m\n${text}\n`, recordedFacts('8xh100'));
  const workers = processes.filter(({ role }) => role !== 'frontend');
  expect(workers.length).toBeGreaterThan(0);
  for (const spec of workers) {
    expect(JSON.stringify([spec.argv, spec.env, spec.reasons])).not.toContain('{port:');
    expect(spec.freshPorts?.map(({ purpose }) => purpose)).toContain('http');
    for (const { purpose } of spec.freshPorts ?? []) {
      expect(spec.portTexts!.some((place) => namesPort(place.text, purpose))).toBe(true);
      const moved = movePort(spec, purpose, 4_321);
      expect(JSON.stringify([moved.argv, moved.env])).toContain('4321');
      expect(movePort(moved, purpose, spec.ports[purpose]!)).toEqual(spec);
    }
  }
});
