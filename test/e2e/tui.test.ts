import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readStat } from '../../src/supervise/identity.ts';
import { Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';
import { waitFor } from '../helpers/until.ts';

const recipe = ['recipes/quickstart.yaml', '--set', 'frontend.port=auto'];
const serve = ['serve', ...recipe];
const small = { columns: 80, rows: 24 };

const open = (box: Sandbox, args: readonly string[], env: NodeJS.ProcessEnv = {}, size = small) =>
  new TmuxTerminal(args, { ...box.env, ...env }, size);

/** A deployment that runs, and nobody watching. */
async function served(box: Sandbox) {
  const { code, stderr } = await box.run(...serve, '--detach');
  if (code !== 0) throw new Error(stderr);
  return box.ready();
}

/** An order to stop is over a moment before the processes that carried it out. */
const nothingLeft = (box: Sandbox) => waitFor('nothing to be left', () => box.processes().length === 0);

/** The controller that attends it now. */
async function attendedBy(box: Sandbox): Promise<number> {
  const snapshot = await waitFor('it to be attended', async () => {
    const seen = await box.ready();
    return seen.unattended ? undefined : seen;
  });
  return supervisors(snapshot).controller;
}

const processLine = (name: string, state: string) => new RegExp(`${name} +${state} +\\d+`);

describe.skipIf(!hasTmux)('serve on a terminal', () => {
  it('shows the start, then the processes; Ctrl-C drains and stops, with exit status 0', async () => {
    await using box = new Sandbox();
    const hold = box.file('hold', '');
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file('wrapper.sh', `while [ -e ${hold} ]; do sleep 0.05; done\nexec ${dynamo} "$@"\n`);
    using terminal = open(box, [...serve, '--set', `workers.decode.command=[sh, ${wrapper}]`]);
    await terminal.shows(/decode-0 +starting .*waits for/);
    rmSync(hold);
    await terminal.shows(/quickstart {2}READY/);
    await terminal.shows(processLine('prefill-1', 'ready'));
    terminal.press('C-c');
    expect(await terminal.exitStatus()).toBe(0);
    expect(terminal.screen()).toMatch(/stopped; nothing is left/);
    expect(terminal.screen()).not.toContain('[1 Processes]'); // the terminal is as it was
    await nothingLeft(box);
  });

  it('stops by force at the second Ctrl-C, with exit status 130', async () => {
    await using box = new Sandbox();
    using terminal = open(box, [...serve, '--set', 'workers.decode.args.speedup-ratio=0.1']);
    await terminal.shows(/READY/);
    const { endpoint } = await box.status();
    const hanging = fetch(`${endpoint}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'mock-model',
        messages: [{ role: 'user', content: 'x' }],
        max_tokens: 500,
        stream: true,
      }),
    }).then((response) => response.text());
    hanging.catch(() => {});
    await terminal.shows(/in flight|decode-\d +ready.* 1 +0 /);
    terminal.press('C-c');
    await terminal.shows(/STOPPING[\s\S]*Ctrl-C again/);
    terminal.press('C-c');
    expect(await terminal.exitStatus()).toBe(130);
    expect(terminal.screen()).toContain('stopped by force');
    await hanging.catch(() => {});
  });

  it('leaves it running when the user detaches', async () => {
    await using box = new Sandbox();
    using terminal = open(box, serve);
    await terminal.shows(/READY/);
    terminal.press('q');
    expect(await terminal.exitStatus()).toBe(0);
    expect(terminal.screen()).toContain('It goes on running. Look: dynamo status quickstart');
    expect((await box.status()).state).toBe('ready');
  });

  it('leaves it running, and no process of its own, when the terminal is closed', async () => {
    await using box = new Sandbox();
    using terminal = open(box, serve);
    await terminal.shows(/READY/);
    const pid = terminal.commandPid();
    terminal.hangUp();
    await waitFor('the client to be gone', () => ['Z', undefined].includes(readStat(pid)?.state));
    expect((await box.status()).state).toBe('ready');
  });

  it('stays over a deployment whose controller dies, adopts it with a key, and can still stop it', async () => {
    await using box = new Sandbox();
    using terminal = open(box, serve);
    await terminal.shows(/READY/);
    process.kill(await attendedBy(box), 'SIGKILL');
    await terminal.shows(/READY {2}UNATTENDED/);
    terminal.press('a');
    await terminal.shows(/adopted by controller/);
    await terminal.shows(/READY {3}/);
    process.kill(await attendedBy(box), 'SIGKILL');
    await terminal.shows(/UNATTENDED/);
    terminal.press('C-c');
    expect(await terminal.exitStatus()).toBe(0);
    await nothingLeft(box);
  });

  it('ends with the error, its details and its exit status when the start fails', async () => {
    await using box = new Sandbox();
    using terminal = open(box, [...serve, '--set', 'workers.decode.args.fault=fail-start']);
    expect(await terminal.exitStatus()).toBe(5);
    expect(terminal.everything()).toMatch(/error: decode-\d ended while starting[\s\S]*\[EXITED_EARLY\]/);
  });

  it('prints lines with --no-tui', async () => {
    await using box = new Sandbox();
    using terminal = open(box, [...serve, '--no-tui']);
    await terminal.shows(/Ctrl-C stops everything/);
    expect(terminal.screen()).not.toContain('[1 Processes]');
    terminal.press('C-c');
    expect(await terminal.exitStatus()).toBe(0);
  });
});

describe.skipIf(!hasTmux)('attach and status --watch', () => {
  it('takes keys: panes, details, help, a restart that is confirmed', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    using terminal = open(box, ['attach']);
    await terminal.shows(processLine('decode-0', 'ready'));
    for (const [key, title] of [
      ['2', /requests\/s/],
      ['3', /generation 1 is committed/],
      ['5', /No routing decisions/],
      ['?', /A request to try/],
    ] as const) {
      terminal.press(key);
      await terminal.shows(title);
    }
    terminal.press('q', '1', 'j', 'j');
    await terminal.shows(/› prefill-1/);
    terminal.press('Enter');
    await terminal.shows(/incarnation 1, 0 restarts/);
    terminal.press('Enter', 'r');
    await terminal.shows(/Restart prefill-1\?/);
    terminal.press('n');
    await terminal.shows(/enter details/);
    terminal.press('r', 'y');
    await terminal.shows(/prefill-1 was started anew and is ready/);
    const pid = (snapshot: typeof before) => snapshot.processes.find(({ name }) => name === 'prefill-1')!.pid;
    expect(pid(await box.ready())).not.toBe(pid(before));
  });

  it('scales with a key, and shows a crash with its cause and its report', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach'], {}, { columns: 120, rows: 40 });
    await terminal.shows(processLine('decode-1', 'ready'));
    terminal.press('j', '+');
    await terminal.shows(/workers: prefill=2_/);
    terminal.press('BSpace', '1', 'Enter');
    await terminal.shows(/Scale to prefill=1\?/);
    terminal.press('y');
    await terminal.shows(/scaled: prefill 2 → 1/);
    await terminal.showsWithout(/Scaled: prefill 1 \(recipe 2\)/, processLine('prefill-1', 'ready'));

    const { processes } = await box.ready();
    process.kill(processes.find(({ name }) => name === 'decode-0')!.pid!, 'SIGKILL');
    terminal.press('G', 'k', 'Enter');
    await terminal.shows(
      /── decode-0 [\s\S]*last exit .*killed by SIGKILL[\s\S]*cause [\s\S]*next step [\s\S]*report .*crash-reports/,
    );
    terminal.press('3');
    await terminal.shows(/decode-0 .*killed it.*Report: /);
  });

  it('reads logs: follows, filters, searches', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['status', '--watch']);
    await terminal.shows(processLine('decode-0', 'ready'));
    terminal.press('j', 'l');
    await terminal.shows(/prefill-0 {2}following[\s\S]*Application startup complete/);
    terminal.press('&');
    terminal.press('weights');
    terminal.press('Enter');
    await terminal.showsWithout(/only "weights": 2 of/, /startup complete/);
    terminal.press('Escape');
    await terminal.shows(/startup complete/);
    terminal.press('/');
    terminal.press('nixl');
    terminal.press('Enter');
    await terminal.shows(/"nixl": 1 lines/);
    terminal.press('Right');
    await terminal.shows(/prefill-1 {2}following/);
  });

  it('survives every size', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach']);
    await terminal.shows(processLine('decode-0', 'ready'));
    for (const [columns, rows] of [
      [60, 20],
      [30, 5],
      [120, 50],
      [80, 24],
    ] as const) {
      terminal.resize(columns, rows);
      // One head, as wide as the terminal now is: the frame of the size before is gone.
      await waitFor(`a frame of ${columns} x ${rows}`, () => {
        const lines = terminal.screen().split('\n');
        const heads = lines.filter((line) => line.includes('quickstart'));
        if (heads.length !== 1) return false;
        if (columns < 40) return lines.some((line) => line.includes('needs 40 x 8'));
        return heads[0]!.length === columns && lines.some((line) => line.endsWith('? help'));
      }).catch((error: Error) => {
        throw new Error(`${error.message}\n${terminal.screen()}`);
      });
    }
  });

  it('draws without colour where that is asked for', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach'], { NO_COLOR: '1', LC_ALL: 'C' });
    const text = await terminal.shows(processLine('decode-0', 'ready'));
    expect([...text].filter((char) => char > '~')).toEqual([]);
  });

  it.each(['q', 'C-c'])('leaves with %s and touches nothing', async (key) => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach']);
    await terminal.shows(processLine('decode-0', 'ready'));
    terminal.press(key);
    expect(await terminal.exitStatus()).toBe(0);
    expect((await box.status()).state).toBe('ready');
  });

  it('sees the stop that somebody else asks for, and says so', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach']);
    await terminal.shows(/READY/);
    await box.run('stop', 'quickstart');
    await terminal.shows(/STOPPED[\s\S]*nothing is left/);
  });

  it('stops it after a yes', async () => {
    await using box = new Sandbox();
    await served(box);
    using terminal = open(box, ['attach']);
    await terminal.shows(/READY/);
    terminal.press('s', 'y');
    await terminal.shows(/quickstart is stopped; nothing is left/);
    await nothingLeft(box);
  });
});

describe('without a terminal', () => {
  it('status --watch prints the status, then a line for each change, and ends with the deployment', async () => {
    await using box = new Sandbox();
    await served(box);
    const watch = box.start('status', '--watch');
    await watch.readUntil(/PROCESS +STATE/);
    await box.run('restart', 'prefill-0');
    await watch.readUntil(/prefill-0: asked to restart it[\s\S]*prefill-0 +ready/);
    await box.run('stop');
    expect(await watch.exited).toBe(0);
  });

  it('status --watch --json prints one snapshot or event a line', async () => {
    await using box = new Sandbox();
    await served(box);
    const watch = box.start('status', '--watch', '--json');
    await watch.readUntil(/"type":"snapshot"/);
    watch.signal('SIGINT');
    expect(await watch.exited).toBe(0);
    for (const line of watch.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('type');
  });
});
