import { describe, expect, it } from 'vitest';
import { type MatchCommandOptions, runMatchCommand } from '../../../../src/hosts/ssh/match-command.ts';

const run = (command: string, change: Partial<MatchCommandOptions> = {}) =>
  runMatchCommand(command, 'config:3', { env: { SHELL: '/bin/sh', WORD: 'found' }, ...change });

describe('the command of Match exec', () => {
  it('holds when it ends with 0, by the shell and with the environment of the user', async () => {
    expect(await run('test "$WORD" = found')).toBe(true);
    expect(await run('exit 3')).toBe(false);
    expect(await run('kill -9 $$')).toBe(false);
    expect(await run('true', { env: {} })).toBe(true);
  });

  it('is an error with its line when it does not end, or cannot be run', async () => {
    await expect(run('exec sleep 600', { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'HOST_UNREACHABLE',
      message: 'config:3: the command of `Match exec` did not end within 0.1 s: exec sleep 600',
    });
    await expect(run('true', { env: { SHELL: '/no/such/shell' } })).rejects.toMatchObject({
      code: 'HOST_UNREACHABLE',
      message: expect.stringMatching(/^config:3: the command of `Match exec` cannot be run: .*ENOENT/),
    });
  });

  it('blocks nobody meanwhile, and ends with the signal', async () => {
    const stop = new AbortController();
    const running = run('exec sleep 600', { signal: stop.signal });
    setImmediate(() => stop.abort(new Error('given up')));
    await expect(running).rejects.toThrow('given up');
    await expect(run('true', { signal: stop.signal })).rejects.toThrow('given up');
  });
});
