import { describe, expect, it } from 'vitest';
import { explainExit } from '../../../src/agent/explain-exit.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';

// Ports on which nobody listens: who does is looked up on this machine.
const spec = trivialProcess('decode-0', { ports: { http: 11, sideChannel: 12 } });

describe('explainExit', () => {
  it('says how it ended and keeps its last lines', () => {
    const error = explainExit(spec, 'exit status 3', ['loading', 'oops'], null);
    expect(error).toMatchObject({
      code: 'EXITED_EARLY',
      message: 'decode-0 ended while starting: exit status 3',
      details: ['loading', 'oops'],
      exitStatus: 5,
    });
  });

  it("takes the code over from the last words of one of dynamo's own processes", () => {
    const error = explainExit(
      spec,
      'exit status 4',
      ['error: no space left to write /x [DISK_FULL]', 'hint: Free some.'],
      null,
    );
    expect(error).toMatchObject({ code: 'DISK_FULL', message: 'decode-0 ended while starting: exit status 4' });
  });

  it('names the crash report', () => {
    expect(explainExit(spec, 'exit status 3', ['oops'], '/state/decode-0.txt').details).toEqual([
      'oops',
      'crash report: /state/decode-0.txt',
    ]);
  });

  it('names its ports when one was taken', () => {
    const error = explainExit(spec, 'exit status 4', ['error: port 11 is in use [PORT_IN_USE]'], null);
    expect(error.message).toBe('decode-0 ended while starting: exit status 4: port 11, 12 was taken in the meantime');
  });

  it('names the port that the engine names, and only those that the failure may be about', () => {
    const ports = { http: 8100, sideChannel: 5600, kvEvents: 7100 };
    const lostOf = (engine: string, line: string) =>
      explainExit(trivialProcess('decode-0', { engine, ports }), 'exit status 1', ['loading', line], null).ports;
    const lost = (purpose: 'http' | 'sideChannel' | 'kvEvents') => [
      { process: 'decode-0', purpose, port: ports[purpose] },
    ];
    const uvicorn = "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8100): address already in use";
    expect(lostOf('vllm', `ERROR:    ${uvicorn}`)).toEqual(lost('http'));
    expect(lostOf('vllm', "zmq.error.ZMQError: Address already in use (addr='tcp://*:7100')")).toEqual(
      lost('kvEvents'),
    );
    expect(lostOf('vllm', 'zmq.error.ZMQError: Address already in use')).toEqual([
      ...lost('sideChannel'),
      ...lost('kvEvents'),
    ]);
    expect(lostOf('mocker', 'Error: listen EADDRINUSE: address already in use 10.0.0.1:5600')).toEqual(
      lost('sideChannel'),
    );
    expect(lostOf('llamacpp', "couldn't bind HTTP server socket, hostname: ::1, port: 8100")).toEqual(lost('http'));
    const torch = 'failed to listen on any local network address. port: 29500, useIpv6: false, name: EADDRINUSE';
    expect(lostOf('sglang', torch)).toHaveLength(3);
    expect(lostOf('sglang', 'CUDA out of memory at 10.0.0.1:8100')).toEqual([]);
  });

  it('believes no code that is not in the table', () => {
    for (const line of ['error: x [NO_SUCH_CODE]', 'warning: x [DISK_FULL]', 'error: x [DISK_FULL] and more'])
      expect(explainExit(spec, 'exit status 1', [line], null).code).toBe('EXITED_EARLY');
  });

  it("knows a cause by the engine's own words", () => {
    const vllm = trivialProcess('decode-0', { engine: 'vllm' });
    const error = explainExit(
      vllm,
      'exit status 1',
      ['torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB'],
      null,
    );
    expect(error.message).toMatch(/^decode-0 ended while starting: exit status 1: .+/);
    expect(error.hint).not.toContain('dynamo logs');
  });
});
