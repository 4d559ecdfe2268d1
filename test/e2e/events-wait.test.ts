import { describe, expect, it } from 'vitest';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const serve = ['serve', 'quickstart', '--detach', '--set', 'frontend.port=auto'];

describe('dynamo wait and dynamo events', () => {
  it('follow a deployment through its life, for people and for scripts', async () => {
    await using box = new Sandbox();
    // Begun before there is anything to wait for.
    const ready = box.start('wait', 'ready', 'quickstart', '--timeout', '60s', '--json');
    expect(await box.run(...serve, '--set', 'workers.decode.args.speedup-ratio=2')).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(await ready.exited).toBe(0);
    expect(JSON.parse(ready.stdout)).toMatchObject({ name: 'quickstart', state: 'ready' });

    const following = box.start('events', '-f', '--json', '--tail', '1');
    await following.readUntil(/"type"/);
    const stopped = box.start('wait', 'stopped', 'quickstart');
    expect(await box.run('restart', 'decode-1')).toMatchObject({ code: 0 });
    await following.readUntil(/"type":"restart"/);
    const shown = await box.run('events', '--since', '1h');
    expect(shown.stdout).toMatch(/ {2}controller {6}ready {8}generation 1 is committed\n/);
    expect(shown.stdout).toMatch(/ {2}decode-1 {8}restart {6}asked to restart it\n/);
    expect((await box.run('events', '-n', '2')).stdout.trim().split('\n')).toHaveLength(2);

    const { endpoint } = await box.status();
    // Minutes at the simulated GPU's own pace: it is in flight until it is let go.
    const letGo = new AbortController();
    const answer = ask(endpoint, 'mock-model', 100_000, letGo.signal).then(
      () => 'answered',
      () => 'let go',
    );
    await waitFor('a request in flight', async () =>
      (await (await fetch(`${endpoint}/health`)).text()).includes('"inFlight":1'),
    );
    const late = await box.run('wait', 'idle', '--timeout', '1ms');
    expect(late).toMatchObject({ code: 8 });
    expect(late.stderr).toMatch(/quickstart was not idle within 1 ms: [12] requests? (is|are) in flight/);
    const idle = box.start('wait', 'idle', '--timeout', '2m');
    letGo.abort();
    expect(await answer).toBe('let go');
    expect(await idle.exited, idle.stderr).toBe(0);
    expect(idle.stdout).toBe('quickstart is idle\n');

    expect(await box.run('stop')).toMatchObject({ code: 0 });
    expect(await stopped.exited).toBe(0);
    expect(await following.exited).toBe(0);
    const events = following.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(events.at(-1)).toMatchObject({ type: 'stopped', source: 'controller' });
    for (const line of events) expect(Object.keys(line)).toEqual(['at', 'source', 'process', 'type', 'message']);
  });

  it('end with what went wrong', async () => {
    await using box = new Sandbox();
    const never = await box.run('wait', 'ready', 'nothing', '--timeout', '200ms');
    expect(never.code).toBe(5);
    expect(never.stderr).toContain('nothing was not ready within 200 ms: it is not there');
    expect(await box.run('wait', 'ready')).toMatchObject({ code: 7 });
    expect(await box.run('wait', 'asleep')).toMatchObject({ code: 2 });
    expect(await box.run('wait', 'ready', 'x', '--timeout', 'soon')).toMatchObject({ code: 2 });
    expect(await box.run('events', 'nothing')).toMatchObject({ code: 7 });
    const failing = await box.run(
      ...serve,
      '--set',
      'workers.decode.args.fault=exit-at-start',
      '--set',
      'workers.decode.startTimeout=5s',
    );
    expect(failing.code).not.toBe(0);
    const failed = await box.run('wait', 'ready', 'quickstart');
    expect(failed.code).toBe(failing.code);
  });
});
