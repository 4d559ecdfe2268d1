import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { processesWithEnv } from '../../src/supervise/identity.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { findDifference, readSteps, runSteps } from '../helpers/transcript.ts';
import { waitFor } from '../helpers/until.ts';

const page = readFileSync(path.join(packageRoot, 'docs', 'getting-started.md'), 'utf8');
const steps = readSteps(page);

/** A network of its own, so that the ports of the document are free whatever else runs on this machine. */
const OWN_NETWORK = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const canUnshare = spawnSync(OWN_NETWORK[0]!, [...OWN_NETWORK.slice(1), 'true']).status === 0;
if (!canUnshare) console.warn('the getting-started document is not run: no network namespace can be made here');

describe('docs/getting-started.md', () => {
  it('has commands', () => {
    expect(steps.length).toBeGreaterThan(12);
  });

  it.skipIf(!canUnshare)('prints what it says, command by command', async () => {
    using tmp = tmpDir();
    const home = path.join(tmp.dir, 'home');
    mkdirSync(home);
    const state = path.join(tmp.dir, 'state');
    const env = { ...process.env, HOME: home, DYNAMO_HOME: state, DYNAMO_LOCK_DIR: tmp.dir, LC_ALL: 'C.UTF-8' };
    const results = await runSteps(steps, { cwd: packageRoot, env, wrap: OWN_NETWORK });
    const problems = steps.flatMap(({ command, expected }, index) => {
      const { status, lines } = results[index]!;
      const difference = findDifference(expected, lines);
      if (status !== 0) return [`$ ${command}\nended with ${status}:\n${lines.join('\n')}`];
      return difference === undefined ? [] : [`$ ${command}\n${difference}\nall of it:\n${lines.join('\n')}`];
    });
    await waitFor(
      'nothing to be left',
      () => processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (dir) => dir.startsWith(state)).length === 0,
    );
    expect(problems.join('\n\n')).toBe('');
  });
});
