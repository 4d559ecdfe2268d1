import { describe, expect, it } from 'vitest';
import { FreshPorts } from '../../../src/agent/fresh-ports.ts';
import type { FreshPort, ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

const fresh: FreshPort = { purpose: 'sideChannel', count: 1, env: 'SIDE', first: 5600, last: 5609 };
const worker = (name: string, port: number, change: Partial<FreshPort> = {}): ProcessSpec =>
  trivialProcess(name, {
    ports: { http: 8100, sideChannel: port },
    env: { SIDE: String(port), OTHER: 'x' },
    freshPorts: [{ ...fresh, ...change }],
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
