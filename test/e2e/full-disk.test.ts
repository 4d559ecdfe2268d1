import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { processesWithEnv, readStat } from '../../src/supervise/identity.ts';
import { ask } from '../helpers/deployment-sandbox.ts';
import { kill } from '../helpers/kill.ts';
import { type CliResult, runCli } from '../helpers/run-cli.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

/** A small disk of its own needs the right to mount one. */
const canMount = (() => {
  using tmp = tmpDir();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmp.dir], { stdio: 'ignore' });
    execFileSync('umount', [tmp.dir]);
    return true;
  } catch {
    console.warn('full-disk tests are skipped: mounting a tmpfs is not permitted here');
    return false;
  }
})();

describe.skipIf(!canMount)('a full disk', () => {
  let tmp: ReturnType<typeof tmpDir>;
  let disk: string;
  const run = (...args: string[]): Promise<CliResult> => runCli(args, { DYNAMO_HOME: path.join(disk, 'home') });
  const left = () => processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (dir) => dir.startsWith(disk));
  const serve = ['serve', 'quickstart', '--set', 'frontend.port=auto', '--detach'];

  beforeEach(() => {
    tmp = tmpDir();
    disk = path.join(tmp.dir, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
  });
  afterEach(async () => {
    await waitFor('everything of the test to be gone', () => {
      const pids = left();
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    });
    execFileSync('umount', ['-l', disk]);
    tmp[Symbol.dispose]();
  });

  /** Leaves not a single free byte, also when somebody replaces a file meanwhile. */
  async function fill(): Promise<void> {
    const fd = openSync(path.join(disk, 'filler'), 'a');
    try {
      await waitFor('the disk to be full', () => {
        try {
          for (;;) writeSync(fd, Buffer.alloc(4096));
        } catch {
          return statfsSync(disk).bavail === 0;
        }
      });
    } finally {
      closeSync(fd);
    }
  }

  it('before the start: says so, and leaves nothing', async () => {
    mkdirSync(path.join(disk, 'home'));
    await fill();
    const { code, stderr } = await run(...serve);
    expect(stderr).toContain('[DISK_FULL]');
    expect(code).toBe(4);
    await waitFor('nothing to be left', () => left().length === 0);
  });

  it('while it serves: tokens flow, and stop leaves nothing', async () => {
    expect((await run(...serve)).code).toBe(0);
    const { endpoint } = JSON.parse((await run('status', '--json')).stdout) as { endpoint: string };
    await fill();
    await ask(endpoint);
    const stopped = await run('stop', 'quickstart');
    expect(stopped.stderr).toBe('');
    expect(stopped.code).toBe(0);
    await waitFor('nothing to be left', () => left().length === 0);
  });

  it('while it runs unattended: stop leaves nothing', async () => {
    expect((await run(...serve)).code).toBe(0);
    const { controller, agents } = JSON.parse((await run('status', '--json')).stdout) as DeploymentSnapshot;
    const supervisors = [controller!.pid, agents[0]!.pid!];
    for (const pid of supervisors) kill(pid);
    await waitFor('both to be gone', () => supervisors.every((pid) => ['Z', undefined].includes(readStat(pid)?.state)));
    await fill();
    const stopped = await run('stop', 'quickstart');
    expect(stopped.stderr).toBe('');
    expect(stopped.code).toBe(0);
    await waitFor('nothing to be left', () => left().length === 0);
  });

  it('while it serves, a worker killed: it comes back once there is room', async () => {
    expect((await run(...serve)).code).toBe(0);
    const status = async () => JSON.parse((await run('status', 'quickstart', '--json')).stdout) as DeploymentSnapshot;
    const before = await status();
    const victim = before.processes.find((entry) => entry.name === 'decode-0')!;
    await fill();
    process.kill(victim.pid!, 'SIGKILL');
    await waitFor(
      'the agent to notice',
      async () => (await status()).processes.find((entry) => entry.name === 'decode-0')!.state !== 'ready',
    );
    await ask(before.endpoint);
    rmSync(path.join(disk, 'filler'));
    const after = await waitFor('decode-0 to be back', async () => {
      const found = (await status()).processes.find((entry) => entry.name === 'decode-0')!;
      return found.state === 'ready' && found;
    });
    expect(after.pid).not.toBe(victim.pid);
    expect((await run('stop', 'quickstart')).code).toBe(0);
    await waitFor('nothing to be left', () => left().length === 0);
  });
});
