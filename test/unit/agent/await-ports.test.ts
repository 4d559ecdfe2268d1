import { describe, expect, it } from 'vitest';
import { awaitOwnPorts } from '../../../src/agent/await-ports.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

// Ports of which nobody ever listens on the first: who does is looked up on this machine.
const spec = trivialProcess('worker-0', { ports: { http: 11, internal: 20_000, bootstrap: 8998 } });

/** `answers`: what trying a port says, one after the other; free after that. */
async function wait(process: ProcessSpec, answers: Record<number, string[]>, signal = new AbortController().signal) {
  const said: string[] = [];
  const tries: number[] = [];
  await awaitOwnPorts(process, {
    onWaiting: (text) => void said.push(text),
    random: () => 0,
    signal,
    tryPort: async (port) => {
      tries.push(port);
      return answers[port]?.shift();
    },
  });
  return { said, tries };
}

describe('the ports of a process that starts again', () => {
  it('are tried, but for those an engine searches itself', async () => {
    expect(await wait(spec, {})).toEqual({ said: [], tries: [11, 8998] });
  });

  it('are waited for, told once, while somebody has them', async () => {
    const { said, tries } = await wait(spec, { 11: ['in use', 'in use'] });
    expect(said).toEqual(['http port 11, which is in use']);
    expect(tries.filter((port) => port === 11)).toHaveLength(3);
  });

  it('are not waited for where it can have others, or where something else is wrong with them', async () => {
    const freshPorts = [{ purpose: 'http', count: 1, whenTaken: true as const, first: 1, last: 9 }];
    const { tries } = await wait({ ...spec, freshPorts }, { 11: ['in use'], 8998: ['EADDRNOTAVAIL'] });
    expect(tries).toEqual([8998]);
  });

  it('are waited for no longer than anybody wants it', async () => {
    const given = new AbortController();
    const waiting = wait(spec, { 11: Array<string>(1000).fill('in use') }, given.signal);
    given.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});
