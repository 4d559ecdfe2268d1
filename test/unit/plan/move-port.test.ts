import { describe, expect, it } from 'vitest';
import { movePort } from '../../../src/plan/move-port.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

describe('a process on another port', () => {
  const spec = trivialProcess('worker-0', {
    argv: ['docker', 'run', '--port', '8100', 'vllm', '--port', '8100', '--seed', '8100'],
    env: { PORT: '8100', SEED: '8100' },
    ports: { http: 8100, sideChannel: 5600 },
    url: 'http://[fd00::8100]:8100',
  });

  it('has it in its own flag, the last of that name, and in its URL', () => {
    const moved = movePort(spec, { purpose: 'http', flag: '--port' }, 8101);
    expect(moved.argv).toEqual(['docker', 'run', '--port', '8100', 'vllm', '--port', '8101', '--seed', '8100']);
    expect(moved.url).toBe('http://[fd00::8100]:8101');
    expect(moved.ports).toEqual({ http: 8101, sideChannel: 5600 });
    expect(moved.env).toEqual(spec.env);
  });

  it('has it in its variable', () => {
    const moved = movePort(spec, { purpose: 'sideChannel', env: 'PORT' }, 5601);
    expect(moved.env).toEqual({ PORT: '5601', SEED: '8100' });
    expect(moved).toMatchObject({ argv: spec.argv, url: spec.url, ports: { http: 8100, sideChannel: 5601 } });
  });

  it.each([
    ['behind an address', '10.0.0.1:5557', '10.0.0.1:5600'],
    ['within JSON', '{"endpoint":"tcp://*:5557","hwm":55570}', '{"endpoint":"tcp://*:5600","hwm":55570}'],
    ['but not in a longer number', 'tcp://*:5557,tcp://*:55571', 'tcp://*:5600,tcp://*:55571'],
  ])('has it %s', (_what, before, after) => {
    const events = { ...spec, argv: ['vllm', '--events', before], ports: { kvEvents: 5557 } };
    expect(movePort(events, { purpose: 'kvEvents', flag: '--events' }, 5600).argv[2]).toBe(after);
  });

  it('is refused where the flag is missing or names another', () => {
    const flag = { purpose: 'http', flag: '--port' };
    for (const argv of [['vllm'], ['vllm', '--port'], ['vllm', '--port', '9']])
      expect(() => movePort({ ...spec, argv }, flag, 8101)).toThrow('--port of worker-0 does not name port 8100');
  });
});
