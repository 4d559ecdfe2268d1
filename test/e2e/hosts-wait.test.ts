import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet } from '../helpers/fleet.ts';
import type { LongCommand } from '../helpers/run-cli.ts';
import { findUnlike, ShownOutputs } from '../helpers/shown-outputs.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

const fixtures = path.join(packageRoot, 'test', 'fixtures');
const vllm = '#!/bin/sh\nexec node /run/engines/vllm.ts "$@"\n';
/** What planning sees on the GPUs is in `/run/apps`, what the agent sees a moment later in `/run/late-apps`. */
const nvidiaSmi = `#!/bin/sh
FAKE_SMI_APPS=/run/apps
case "$*" in *'-i '*--query-compute-apps=*) FAKE_SMI_APPS=/run/late-apps ;; esac
export FAKE_SMI_APPS
exec /run/two-gpus "$@"
`;
const uuid = (gpu: number) => `GPU-0000000${gpu}-aaaa-bbbb-cccc-dddddddddddd`;

/** Two hosts with two GPUs each, and a fake of vLLM that takes both of one. */
describe.skipIf(!hasTestHosts || !hasEtcd)('GPUs of several hosts that are not free', () => {
  let fleet: Fleet;
  let one: TestHost;
  let two: TestHost;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 2,
      workers: `{ aggregated: { engine: vllm, gpus: 2, args: { tensor-parallel-size: 2 }, replicas: 2, startTimeout: 3m, env: { DYNAMO_FLAG_CHECK: 'off' } } }`,
    });
    [one, two] = fleet.net.hosts as [TestHost, TestHost];
    const gpus = readFileSync(path.join(fixtures, 'bin', 'two-gpus', 'nvidia-smi'), 'utf8');
    for (const host of fleet.net.hosts) {
      host.run('cat > /run/two-gpus; chmod 755 /run/two-gpus; : > /run/apps; : > /run/late-apps', gpus);
      host.run('cat > /run/bin/nvidia-smi; chmod 755 /run/bin/nvidia-smi', nvidiaSmi);
      host.run('cat > /run/bin/vllm; chmod 755 /run/bin/vllm; mkdir /run/engines', vllm);
      for (const name of ['vllm.ts', 'fake-http.ts'])
        host.run(`cat > /run/engines/${name}`, readFileSync(path.join(fixtures, 'engines', 'servers', name), 'utf8'));
      host.run('cat > /run/engines/package.json', '{"type":"module"}');
    }
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  const waiting = (name = 'fleet') =>
    fleet.box.start('serve', fleet.recipe, '--name', name, '--hosts', fleet.hostsFile, '--detach', '--wait', '10m');
  const says = (command: LongCommand, text: string) => command.readUntil(new RegExp(text), 120_000);
  /** Runs something there until it is ended. */
  const background = (host: TestHost, script: string) => {
    const pid = host.run(`(${script}) </dev/null >/dev/null 2>&1 & echo $!`).trim();
    return {
      pid,
      end: () => host.run(`kill -KILL $(cat /proc/${pid}/task/${pid}/children) ${pid} 2>/dev/null || true`),
    };
  };

  it('--wait says which GPUs of which host, who has them, and which host is away; it holds nothing on the others', async () => {
    const file = '/run/lock/dynamo/gpu-1.lock';
    const ada = background(
      two,
      `mkdir -p -m 1777 /run/lock/dynamo; echo 'llama (prefill-0)' > ${file}; exec 9<${file}; flock -x 9; exec sleep 600`,
    );
    await waitFor('the lock to be held', () => two.run(`flock -n ${file} true || echo held`).trim() === 'held');
    const command = waiting();
    await says(command, 'waiting: GPU 1 of host-2 held by llama\n');
    // But for the looks of `--wait` itself.
    await waitFor('nothing of ours to run on the other host', () => one.processes().length === 0);
    expect(one.run('ls /run/lock/dynamo 2>/dev/null || true')).toBe('');
    // The other host goes away: that is what it waits for now.
    one.wire('cut');
    try {
      await says(command, 'waiting: host-1: waited .* for ');
    } finally {
      one.wire('whole');
    }
    ada.end();
    expect(await command.exited, command.stdout + command.stderr).toBe(0);
    const page = new ShownOutputs(readFileSync(path.join(packageRoot, 'docs', 'operations.md'), 'utf8'));
    const { lines } = page.take('GPUs are taken, or a host is away', 1);
    const printed = command.stdout.replaceAll(`(${one.user}@`, '(ada@').split('\n');
    expect(findUnlike(lines, printed)).toBeUndefined();
    const view = await fleet.ready();
    expect(new Set(view.processes.flatMap(({ host, gpus }) => (gpus.length > 0 ? [`${host} ${gpus}`] : [])))).toEqual(
      new Set(['host-1 0,1', 'host-2 0,1']),
    );
    await fleet.stopsClean();
  });

  it('two that wait for all of both hosts: one has it, the other waits on and is next; neither keeps a part', async () => {
    const stranger = background(one, 'exec sleep 600');
    one.run('cat > /run/apps; cp /run/apps /run/late-apps', `${uuid(0)}, ${stranger.pid}, 70000, python3\n`);
    const both = ['left', 'right'].map((name) => ({ name, command: waiting(name) }));
    for (const { command } of both) await says(command, 'waiting: GPU 0 of host-1 used by');
    stranger.end();
    one.run(': > /run/apps; : > /run/late-apps');
    const first = await waitFor(
      'one of them to serve',
      () => {
        const ended = both.find(({ command }) => command.child.exitCode !== null);
        if (ended) expect(ended.command.child.exitCode, ended.command.stdout + ended.command.stderr).toBe(0);
        return ended;
      },
      120_000,
    );
    const second = both.find((other) => other !== first)!;
    await says(second.command, `GPUs 0-1 of host-1 held by ${first.name}; GPUs 0-1 of host-2 held by ${first.name}`);
    expect(second.command.child.exitCode).toBeNull();
    expect((await fleet.box.run('stop', first.name)).code).toBe(0);
    expect(await second.command.exited, second.command.stdout + second.command.stderr).toBe(0);
    expect((await fleet.box.run('stop', second.name)).code).toBe(0);
    await fleet.nothingLeft();
  });

  it('a stranger who comes between reserve and launch: named, all is taken back on every host; with --wait it waits on', async () => {
    const stranger = background(two, 'exec sleep 600');
    two.run('cat > /run/late-apps', `${uuid(1)}, ${stranger.pid}, 70000, python3\n`);
    const refused = await fleet.serve();
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(
      new RegExp(`error: GPU 1 of host-2 is used by pid ${stranger.pid} of \\S+: sleep 600 \\[GPU_UNAVAILABLE\\]`),
    );
    await waitFor('nothing to run on the other host', () => one.processes().length === 0, 30_000);

    const command = waiting();
    await says(command, `waiting: GPU 1 of host-2 is used by pid ${stranger.pid} of`);
    // By now planning sees it, too.
    two.run('cp /run/late-apps /run/apps');
    await says(command, `waiting: GPU 1 of host-2 used by pid ${stranger.pid} of`);
    stranger.end();
    two.run(': > /run/apps; : > /run/late-apps');
    expect(await command.exited, command.stdout + command.stderr).toBe(0);
    await fleet.ready();
    await fleet.stopsClean();
  });
});
