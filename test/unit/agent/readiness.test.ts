import { describe, expect, it } from 'vitest';
import { awaitReadiness } from '../../../src/agent/readiness.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

/** What vLLM 0.32 prints when something else has the port of its side channel. It goes on, and waits for ever. */
const CLASH = [
  'Exception in thread nixl_handshake_listener:',
  'Traceback (most recent call last):',
  '    socket.bind(path)',
  "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:5600')",
];

const worker = (change: Partial<ProcessSpec>): ProcessSpec =>
  trivialProcess('prefill-0', {
    engine: 'vllm',
    readiness: [{ kind: 'http', path: '/health' }],
    startTimeoutMs: 60_000,
    ...change,
  });

const wait = (spec: ProcessSpec, lines: string[]) =>
  awaitReadiness(spec, { lastLines: () => lines, onWaiting: () => {}, signal: new AbortController().signal });

describe('waiting for readiness', () => {
  it('gives up on a process that lives but will never be ready, as a port to be chosen anew', async () => {
    const ports = { http: 8100, sideChannel: 5600 };
    await expect(wait(worker({ ports }), CLASH)).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: 'prefill-0 cannot become ready: the port of its KV side channel was taken between planning and starting',
      ports: [{ process: 'prefill-0', purpose: 'sideChannel', port: 5600 }],
    });
  });

  it('takes other output for what it is: it waits on, to the deadline', async () => {
    const lines = ['OSError: [Errno 98] error while attempting to bind: address already in use'];
    await expect(wait(worker({ startTimeoutMs: 50 }), lines)).rejects.toMatchObject({ code: 'NOT_READY' });
    await expect(wait(worker({ startTimeoutMs: 50, engine: null }), CLASH)).rejects.toMatchObject({
      code: 'NOT_READY',
    });
  });
});
