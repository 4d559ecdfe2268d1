import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { mockerCommand } from '../../../../src/commands/mocker.ts';
import { diagnose } from '../../../../src/engines/engine.ts';
import { mockerEngine } from '../../../../src/engines/mocker/mocker-engine.ts';
import { MOCKER_FLAGS, MOCKER_RESERVED } from '../../../../src/engines/mocker/mocker-flags.ts';
import type { WorkerPlacement, WorkerSettings } from '../../../../src/engines/worker.ts';
import { workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = (change: Partial<WorkerSettings> = {}): WorkerSettings =>
  workerSettings({ role: 'prefill', model: '/models/m', ...change });
const placement: WorkerPlacement = workerPlacement(mockerEngine, worker(), {
  ports: { http: '8100', sideChannel: '5600' },
  gpus: [],
  selfCommand: ['node', 'cli.js'],
  startTimeoutMs: 30_000,
});

describe('the mocker', () => {
  it('is this dynamo, with a side channel for prefill and decode', () => {
    const settings = worker({ args: { fault: ['exit:5', 'slow'], 'block-size': 16, seed: null } });
    expect(mockerEngine.launch(settings, placement)).toMatchObject({
      argv: [
        ...['node', 'cli.js', 'mocker', '--model-name', 'm', '--http-host', '127.0.0.1', '--http-port', '8100'],
        ...['--disaggregation-mode', 'prefill', '--block-size', '16', '--fault', 'exit:5', '--fault', 'slow'],
      ],
      env: {
        VLLM_HTTP_TIMEOUT_KEEP_ALIVE: '75',
        VLLM_NIXL_SIDE_CHANNEL_HOST: '127.0.0.1',
        VLLM_NIXL_SIDE_CHANNEL_PORT: '5600',
      },
    });
    expect(mockerEngine.kvBlockSize(settings)).toBe(16);
    expect(mockerEngine.ports(settings).map((wish) => wish.purpose)).toEqual(['http', 'sideChannel']);
  });

  it('needs none when aggregated, and takes the lease of the recipe', () => {
    const aggregated = mockerEngine.launch(worker({ role: 'aggregated' }), placement);
    expect(aggregated.env).toEqual({ VLLM_HTTP_TIMEOUT_KEEP_ALIVE: '75' });
    expect(aggregated.argv).toContain('agg');
    const leased = worker({ kvTransfer: { connector: 'nixl', lease: 1_500, loadFailurePolicy: 'fail' } });
    expect(mockerEngine.launch(leased, placement).argv.join(' ')).toContain('--kv-lease-duration 1.5');
  });

  it.each([
    [{ 'max-num-seq': 1 }, 'the mocker has no flag `max-num-seq`; did you mean `max-num-seqs`?'],
    [{ max_num_seqs: 0 }, 'expected a whole number of at least 1'],
    [{ 'speedup-ratio': 0 }, 'expected a number above 0'],
    [{ 'startup-time': 'soon' }, 'expected a number of at least 0'],
    [{ 'enable-prefix-caching': 'no' }, 'expected true or false'],
    [{ fault: 3 }, 'expected text, or a list of texts'],
    [{ 'http-port': 1 }, '`http-port` cannot be set here: the plan assigns it; use `port` of the worker group'],
  ])('refuses %j', (args, message) => {
    expect(mockerEngine.check(worker({ args })).problems.map((problem) => problem.message)).toEqual([message]);
  });

  it('turns switches off, and leaves those that are on unsaid', () => {
    const args = { 'enable-prefix-caching': true, 'enable-chunked-prefill': false };
    const { argv } = mockerEngine.launch(worker({ role: 'aggregated', args }), placement);
    expect(argv.slice(-2)).toEqual(['64', '--no-enable-chunked-prefill']);
    const opted = (value: boolean) =>
      mockerEngine
        .launch(worker({ role: 'aggregated', args: { 'enable-scale-out': value } }), placement)
        .argv.slice(-1);
    expect([opted(true), opted(false)]).toEqual([['--enable-scale-out'], ['64']]);
  });

  it('knows exactly the flags that `dynamo mocker` has', () => {
    const command = new Command();
    mockerCommand.define(command);
    const flags = command.options.map((option) => option.long?.replace(/^--(no-)?/, ''));
    expect(flags.toSorted()).toEqual([...Object.keys(MOCKER_FLAGS), ...Object.keys(MOCKER_RESERVED)].toSorted());
  });

  it('lists all flags when none is near, and refuses its own variables', () => {
    const [problem] = mockerEngine.check(worker({ args: { zzz: 1 } })).problems;
    expect(problem?.message).toMatch(/^the mocker has no flag `zzz`; known are block-size, /);
    const { problems } = mockerEngine.check(worker({ env: { VLLM_NIXL_SIDE_CHANNEL_PORT: '1' } }));
    expect(problems[0]?.path).toEqual(['workers', 'prefill', 'env', 'VLLM_NIXL_SIDE_CHANNEL_PORT']);
  });

  it('knows a taken port by its output', () => {
    const lines = ['Error: listen EADDRINUSE: address already in use 127.0.0.1:8100'];
    expect(diagnose(mockerEngine, lines)?.code).toBe('PORT_IN_USE');
    expect(diagnose(mockerEngine, ['all is well'])).toBeUndefined();
  });
});
