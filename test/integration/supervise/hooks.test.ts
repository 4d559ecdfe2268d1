import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Hooks } from '../../../src/controller/hooks/hooks.ts';
import type { DeploymentRecord } from '../../../src/deployment/record.ts';
import type { ProcessSnapshot } from '../../../src/deployment/snapshot.ts';
import { deploymentPaths, makePrivateDir } from '../../../src/deployment/state-dir.ts';
import type { HookSpec, HooksSpec } from '../../../src/plan/launch-plan.ts';
import { EventLog, readEvents } from '../../../src/supervise/event-log.ts';
import { ownIdentity, processesWithEnv } from '../../../src/supervise/identity.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { trivialPlan } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const shell = (line: string, more: Partial<HookSpec> = {}): HookSpec => ({
  ...{ argv: ['/bin/sh', '-c', line], timeoutMs: 30_000, env: {} },
  ...more,
});

const SAY = 'echo "$DYNAMO_EVENT: $DYNAMO_REASON" >> "$DYNAMO_STATE_DIR/said"';

/** Hooks of a deployment without processes. */
function place(hooks: HooksSpec) {
  const tmp = tmpDir();
  const paths = deploymentPaths(tmp.dir);
  makePrivateDir(path.dirname(paths.controllerLog));
  const record = {
    recipeFile: path.join(tmp.dir, 'recipe.yaml'),
    plan: trivialPlan('d', [], { hooks, models: ['a', 'b'] }),
    generation: 3,
    phase: 'committed',
  } as unknown as DeploymentRecord;
  const text = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  return {
    record,
    paths,
    open: () =>
      new Hooks({
        ...{ paths, record: () => record, env: { ...process.env, MARK: tmp.dir } },
        events: new EventLog(paths.events, 'controller'),
      }),
    said: () => text(path.join(tmp.dir, 'said')).split('\n').filter(Boolean),
    log: () => text(path.join(tmp.dir, 'logs', 'hooks.log')),
    events: () => readEvents(paths.events).map(({ message }) => message),
    running: () => processesWithEnv('MARK', (value) => value === tmp.dir),
    [Symbol.dispose]: () => tmp[Symbol.dispose](),
  };
}

const failed = (name: string, generation: number): ProcessSnapshot =>
  ({ name, generation, state: 'failed', lastExit: { reason: 'exit status 3' } }) as unknown as ProcessSnapshot;

describe('onReady', () => {
  it('runs once a generation, whichever controller tells of it', async () => {
    using here = place({ onReady: shell(SAY) });
    const first = here.open();
    first.ready();
    first.ready();
    await first.settled();
    const second = here.open();
    second.ready();
    await second.settled();
    expect(here.said()).toEqual(['ready: generation 3 is ready']);
    here.record.generation = 4;
    second.ready();
    await second.settled();
    expect(here.said()).toHaveLength(2);
  });

  it('finds the deployment in its environment, its own variables and the folder of the recipe', async () => {
    const line = 'echo "$DYNAMO_DEPLOYMENT $DYNAMO_URL $DYNAMO_MODELS $A $B. $(pwd)"; echo oops >&2';
    using here = place({ onReady: shell(line, { env: { A: 'x', B: { fromFile: '/none' } } }) });
    const hooks = here.open();
    hooks.ready();
    await hooks.settled();
    expect(here.log()).toContain(`d http://127.0.0.1:1 a,b x . ${here.paths.dir}\noops\n`);
    expect(here.events()).toEqual([
      expect.stringContaining('onReady: running echo'),
      expect.stringMatching(/^onReady: exit status 0 after/),
    ]);
  });

  it('is killed at its deadline with everything it started', async () => {
    using here = place({ onReady: shell('setsid sleep 600 & sleep 600', { timeoutMs: 200 }) });
    const hooks = here.open();
    hooks.ready();
    await hooks.settled();
    expect(here.events().at(-1)).toMatch(/^onReady: killed after .*: its timeout is 200 ms$/);
    expect(here.running()).toEqual([]);
  });

  it('may end badly, or not exist', async () => {
    using here = place({ onReady: shell('exit 3'), onFailure: { argv: ['/none/such'], timeoutMs: 1_000, env: {} } });
    const hooks = here.open();
    hooks.ready();
    hooks.startFailed('why');
    await hooks.settled();
    expect(here.events()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^onReady: exit status 3/),
        'onFailure: could not be started: ENOENT',
      ]),
    );
  });

  it('leaves nothing behind when it ends by itself', async () => {
    using here = place({ onReady: shell('setsid sleep 600 &') });
    const hooks = here.open();
    hooks.ready();
    await hooks.settled();
    expect(here.running()).toEqual([]);
  });
});

describe('onFailure', () => {
  it('tells of each failure once, over controllers and over hosts that are away', async () => {
    using here = place({ onFailure: shell(SAY) });
    const first = here.open();
    first.look([failed('a', 1)]);
    first.look([failed('a', 1)]);
    await first.settled();
    const second = here.open();
    second.look([]);
    second.look([failed('a', 1)]);
    await second.settled();
    expect(here.said()).toEqual(['failure: a: exit status 3']);
    second.look([failed('a', 2), failed('b', 1)]);
    await second.settled();
    expect(here.said().slice(1)).toEqual(['failure: a: exit status 3; b: exit status 3']);
  });

  it('tells with its next run of what failed during one', async () => {
    using here = place({ onFailure: shell(`${SAY}; while [ ! -e "$DYNAMO_STATE_DIR/go" ]; do sleep 0.02; done`) });
    const hooks = here.open();
    hooks.look([failed('a', 1)]);
    hooks.look([failed('a', 1), failed('b', 1)]);
    await waitFor('the first run', () => here.said().length === 1);
    hooks.look([failed('a', 1), failed('b', 1), failed('c', 1)]);
    writeFileSync(path.join(here.paths.dir, 'go'), '');
    await waitFor('the second run', () => here.said().length === 2);
    await hooks.settled();
    expect(here.said()).toEqual(['failure: a: exit status 3', 'failure: b: exit status 3; c: exit status 3']);
  });

  it('says nothing of what is only coming with a change', async () => {
    using here = place({ onFailure: shell(SAY) });
    here.record.change = { added: [{ name: 'a' }] } as unknown as NonNullable<DeploymentRecord['change']>;
    const hooks = here.open();
    hooks.look([failed('a', 1)]);
    await hooks.settled();
    expect(here.said()).toEqual([]);
  });
});

describe('onStop', () => {
  it('is waited for, once, and only after the deployment was ready', async () => {
    using here = place({ onStop: shell(SAY) });
    const hooks = here.open();
    await hooks.stopping(false);
    expect(here.said()).toEqual([]);
    hooks.ready();
    await hooks.stopping(false);
    await here.open().stopping(false);
    expect(here.said()).toEqual(['stop: stopped']);
  });

  it('is waited for no longer by a stop that is forced', async () => {
    using here = place({ onStop: shell('while [ ! -e "$DYNAMO_STATE_DIR/go" ]; do sleep 0.02; done') });
    const hooks = here.open();
    hooks.ready();
    const stopping = hooks.stopping(false);
    await waitFor('it to run', () => here.running().length > 0);
    hooks.hurry();
    await stopping;
    expect(here.running()).not.toEqual([]);
    writeFileSync(path.join(here.paths.dir, 'go'), '');
    await hooks.settled();
    expect(here.running()).toEqual([]);
  });
});

describe('a controller that died', () => {
  it('leaves a hook that the next one ends; one that still waits for its hook is left alone', async () => {
    using here = place({ onReady: shell('sleep 600') });
    const waits = here.open();
    waits.ready();
    await waitFor('it to run', () => here.running().length > 0);
    await here.open().cleanUp();
    expect(here.running()).not.toEqual([]);
    const ledger = path.join(here.paths.dir, 'hooks.json');
    const state = JSON.parse(readFileSync(ledger, 'utf8'));
    for (const entry of state.running) entry.by = { ...ownIdentity('controller'), startTime: '1' };
    writeFileSync(ledger, JSON.stringify(state));
    const next = here.open();
    await next.cleanUp();
    expect(here.running()).toEqual([]);
    expect(here.events()).toContain('onReady: its controller died; whether it came to its end is not known');
    await waits.settled();
  });

  it('may leave a ledger that is none', async () => {
    using here = place({ onReady: shell(SAY) });
    writeFileSync(path.join(here.paths.dir, 'hooks.json'), '{"ready":');
    const hooks = here.open();
    hooks.ready();
    await hooks.settled();
    expect(here.said()).toHaveLength(1);
  });
});
