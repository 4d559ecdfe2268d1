import { describe, expect, it } from 'vitest';
import { movePort } from '../../../src/plan/move-port.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

describe('a process on another port', () => {
  const events = '{"endpoint":"tcp://*:{port:kvEvents}","replay":"tcp://*:{port:kvReplay}"}';
  const spec = trivialProcess('worker-0', {
    argv: ['docker', '--port', '8100', 'vllm', '--port', '8100', '{"endpoint":"tcp://*:5557","replay":"tcp://*:5600"}'],
    env: { PORT: '5600', SEED: '5600' },
    ports: { http: 8100, sideChannel: 5600, kvEvents: 5557, kvReplay: 5600 },
    url: 'http://[fd00::8100]:8100',
    portTexts: [
      { word: 5, text: '{port:http}' },
      { word: 6, text: events },
      { env: 'PORT', text: '{port:sideChannel}' },
    ],
  });

  it('has it in the word that is for it and in its URL, whatever else is the same number', () => {
    const moved = movePort(spec, 'http', 8101);
    expect(moved.argv).toEqual(spec.argv.with(5, '8101'));
    expect(moved.url).toBe('http://[fd00::8100]:8101');
    expect(moved.ports).toEqual({ ...spec.ports, http: 8101 });
    expect(moved.env).toEqual(spec.env);
    expect(spec.argv[5]).toBe('8100');
  });

  it('has it in its variable', () => {
    const moved = movePort(spec, 'sideChannel', 5601);
    expect(moved.env).toEqual({ PORT: '5601', SEED: '5600' });
    expect(moved).toMatchObject({ argv: spec.argv, url: spec.url, ports: { ...spec.ports, sideChannel: 5601 } });
  });

  it('has it beside another in one word, and moves again', () => {
    const both = movePort(movePort(spec, 'kvEvents', 5558), 'kvReplay', 5601);
    expect(both.argv[6]).toBe('{"endpoint":"tcp://*:5558","replay":"tcp://*:5601"}');
    expect(movePort(both, 'kvEvents', 5559).argv[6]).toBe('{"endpoint":"tcp://*:5559","replay":"tcp://*:5601"}');
  });

  it('is refused where nothing names it', () => {
    for (const portTexts of [[], [{ word: 5, text: '{port:other}' }]])
      expect(() => movePort({ ...spec, portTexts }, 'http', 8101)).toThrow(
        'nothing that worker-0 is started with names its http port',
      );
  });
});
