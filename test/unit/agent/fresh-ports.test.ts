import { describe, expect, it } from 'vitest';
import { FreshPorts } from '../../../src/agent/fresh-ports.ts';
import type { FreshPort, ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const fresh: FreshPort = { purpose: 'sideChannel', count: 1, first: 5600, last: 5609 };
const worker = (name: string, port: number, change: Partial<FreshPort> = {}): ProcessSpec =>
  trivialProcess(name, {
    ports: { http: 8100, sideChannel: port },
    env: { SIDE: String(port), OTHER: 'x' },
    freshPorts: [{ ...fresh, ...change }],
    portTexts: [{ env: 'SIDE', text: '{port:sideChannel}' }],
  });

/** `held`: ports on which somebody else listens. */
function renewer(specs: readonly ProcessSpec[], held: readonly number[] = []) {
  const events: string[] = [];
  const ports = new FreshPorts(
    () => specs,
    { write: (_type: string, message: string) => void events.push(message) },
    async (port) => (held.includes(port) ? 'in use' : undefined),
  );
  return { ports, events };
}

describe('ports of a restarted process', () => {
  it('are others, in the environment too, and the rest stays', async () => {
    const spec = worker('prefill-0', 5600);
    const { ports, events } = renewer([spec]);
    const next = await ports.renew(spec);
    expect(next.ports).toEqual({ http: 8100, sideChannel: 5601 });
    expect(next.env).toEqual({ SIDE: '5601', OTHER: 'x' });
    expect(spec.ports['sideChannel']).toBe(5600);
    expect(events).toEqual(['its next life gets sideChannel port 5601, not 5600']);
    expect((await ports.renew(next)).ports['sideChannel']).toBe(5602);
  });

  it('are left alone where the plan names none', async () => {
    const spec = trivialProcess('worker-0', { ports: { http: 8100 } });
    expect(await renewer([spec]).ports.renew(spec)).toBe(spec);
  });

  it('pass over those of others, of strangers, and of restarts under way at the same time', async () => {
    const specs = [worker('prefill-0', 5600), worker('prefill-1', 5601), worker('decode-0', 5602)];
    const { ports } = renewer(specs, [5603]);
    const both = await Promise.all([ports.renew(specs[0]!), ports.renew(specs[1]!)]);
    expect(both.map((spec) => spec.ports['sideChannel']).sort()).toEqual([5604, 5605]);
  });

  it('are not those of another worker’s earlier life, which a peer may still address', async () => {
    // prefill-1 began at 5601.
    const specs = [worker('prefill-0', 5600), worker('prefill-1', 5603)];
    expect((await renewer(specs).ports.renew(specs[0]!)).ports['sideChannel']).toBe(5604);
    const atTheEnd = [worker('prefill-0', 5600), worker('prefill-1', 5609)];
    expect((await renewer(atTheEnd).ports.renew(atTheEnd[0]!)).ports['sideChannel']).toBe(5601);
  });

  it('stay where they may, and are left when a stranger has them: in the flag and the URL, too', async () => {
    // Ports below 1024: who has them is looked up on this machine, and nobody does.
    const spec: ProcessSpec = {
      ...worker('prefill-0', 5600),
      ports: { http: 11, sideChannel: 5600 },
      argv: ['engine', '--port', '11'],
      url: 'http://127.0.0.1:11',
      freshPorts: [{ purpose: 'http', count: 1, whenTaken: true, first: 11, last: 20 }],
      portTexts: [{ word: 2, text: '{port:http}' }],
    };
    expect(await renewer([spec]).ports.renew(spec)).toBe(spec);
    expect(await renewer([spec], [11]).ports.renew(spec, 1, false)).toBe(spec);
    const { ports, events } = renewer([spec, worker('other', 12)], [11, 13]);
    const next = await ports.renew(spec);
    expect(next).toMatchObject({
      argv: ['engine', '--port', '14'],
      url: 'http://127.0.0.1:14',
      ports: { http: 14, sideChannel: 5600 },
    });
    expect(events).toEqual(['its next life gets http port 14, not 11, which is in use']);
  });

  it('of one process never meet each other', async () => {
    const range = { count: 1, whenTaken: true as const, first: 5557, last: 5570 };
    const spec = trivialProcess('worker-0', {
      argv: ['engine', '--events', '{"endpoint":"tcp://*:5557","replay":"tcp://*:5558"}'],
      ports: { kvEvents: 5557, kvReplay: 5558 },
      freshPorts: [
        { purpose: 'kvEvents', ...range },
        { purpose: 'kvReplay', ...range },
      ],
      portTexts: [{ word: 2, text: '{"endpoint":"tcp://*:{port:kvEvents}","replay":"tcp://*:{port:kvReplay}"}' }],
    });
    const next = await renewer([spec], [5557, 5558]).ports.renew(spec);
    expect(next.ports).toEqual({ kvEvents: 5559, kvReplay: 5560 });
    expect(next.argv[2]).toBe('{"endpoint":"tcp://*:5559","replay":"tcp://*:5560"}');
  });

  it('come round to the beginning of the range, never to their own', async () => {
    const spec = worker('prefill-0', 5609);
    expect((await renewer([spec]).ports.renew(spec)).ports['sideChannel']).toBe(5600);
    const alone = worker('prefill-0', 5600, { last: 5600 });
    await expect(renewer([alone]).ports.renew(alone)).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });

  it('are as many neighbours as were planned', async () => {
    const [two, other] = [worker('prefill-0', 5600, { count: 2 }), worker('decode-0', 5604, { count: 2 })];
    const { ports } = renewer([two, other], [5603]);
    expect((await ports.renew(two)).ports['sideChannel']).toBe(5606);
  });

  it('count the lives of a name that was used before', async () => {
    const spec = worker('prefill-0', 5600);
    expect((await renewer([spec]).ports.renew(spec, 3)).ports['sideChannel']).toBe(5603);
  });
});
